"""The runs side by side: what they have in common is left out, and the terminal's width is kept to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trainyard.cli.columns import cells, columns, spoken_seconds
from trainyard.cli.output import one_line
from trainyard.client.errors import WrongUsageError
from trainyard.domain.hyperparameters import as_text

Run = Mapping[str, Any]
Paint = Callable[[str], str]
_MAX_PARAMETERS, _MAX_METRICS = 4, 2
_MIN_NAME = 12
_GAP = 3


@dataclass(frozen=True)
class Column:
    """A column: its title, what a run has there to sort by, and how that is shown."""

    title: str
    value: Callable[[Run], Any]
    text: Callable[[Any], str] = one_line


def _seconds(run: Run, since: str, until: str, now: datetime) -> float | None:
    begun = _moment(run.get(since))
    ended = _moment(run.get(until)) if until else None
    return ((ended or now) - begun).total_seconds() if begun else None


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _spoken(value: Any) -> str:
    return "" if value is None else spoken_seconds(value)


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, int | float) and not isinstance(value, bool) else one_line(value)


def _parameter(value: Any) -> str:
    return "" if value is None else one_line(as_text(value))


def _plain(key: str) -> Callable[[Run], Any]:
    return lambda run: run.get(key)


def known_columns(now: datetime) -> dict[str, Column]:
    """Return the columns that every run has something for, by the names that --columns and --sort know."""
    return {
        "name": Column("Name", _plain("name")),
        "id": Column("guid", _plain("model_id")),
        "state": Column("status", _plain("state")),
        "owner": Column("owner", _plain("owner")),
        "experiment": Column("experiment", _plain("experiment")),
        "duration": Column("duration", lambda run: _seconds(run, "running_at", "finished_at", now), _spoken),
        "gpus": Column("GPUs", _plain("gpus")),
        "account": Column("account", _plain("account")),
        "framework": Column("framework", _plain("framework")),
        "phase": Column("phase", _plain("phase")),
        "submitted": Column("submitted-at", _plain("submitted_at")),
        "deleted": Column("deleted-at", _plain("deleted_at")),
        "until": Column("back-until", _plain("deleted_until")),
        "age": Column("age", lambda run: _seconds(run, "submitted_at", "", now), _spoken),
    }


def run_columns(runs: Sequence[Run], wanted: str | None, now: datetime) -> list[Column]:
    """Return the columns that are asked for, else those that distinguish the runs; raise WrongUsageError.

    A name that is no column is a metric's or a hyperparameter's.
    """
    known = known_columns(now)
    if wanted is not None:
        return [column_of(name.strip(), runs, known) for name in wanted.split(",") if name.strip()]
    own = [_parameter_column(name) for name in differing(runs)[:_MAX_PARAMETERS]]
    own += [_metric_column(name) for name in common_metrics(runs)[:_MAX_METRICS]]
    first = [known[name] for name in ("name", "id", "state", "owner", "experiment")]
    last = [known[name] for name in ("duration", "gpus", "account", "deleted", "until", "age")]
    shown = (column for column in (*first, *own, *last) if any(column.value(run) not in (None, "") for run in runs))
    return list(shown) if runs else [known[name] for name in ("name", "id", "state", "age")]


def column_of(name: str, runs: Sequence[Run], known: Mapping[str, Column]) -> Column:
    if name in known:
        return known[name]
    if any(name in (run.get("metrics") or {}) for run in runs):
        return _metric_column(name)
    if any(name in (run.get("hyperparameters") or {}) for run in runs) or not runs:
        return _parameter_column(name)
    hint = f"Use one of {', '.join(known)}, or the name of a hyperparameter or a metric."
    raise WrongUsageError(f"there is no column {name[:60]!r}", hint)


def _parameter_column(name: str) -> Column:
    return Column(one_line(name), lambda run: (run.get("hyperparameters") or {}).get(name), _parameter)


def _metric_column(name: str) -> Column:
    return Column(one_line(name), lambda run: (run.get("metrics") or {}).get(name), _number)


def differing(runs: Sequence[Run]) -> list[str]:
    """Return the hyperparameters that the runs do not all have with one value, in the order of the manifests."""
    given = [run.get("hyperparameters") or {} for run in runs]
    names = list(dict.fromkeys(name for one in given for name in one))
    return [name for name in names if len({repr(one[name]) for one in given if name in one}) > 1]


def common_metrics(runs: Sequence[Run]) -> list[str]:
    """Return the metrics, those first that most of the runs have."""
    counts = Counter(name for run in runs for name in run.get("metrics") or {})
    return [name for name, _ in counts.most_common()]


def sorted_runs(runs: Sequence[Run], by: str | None, now: datetime) -> list[Run]:
    """Return the runs, the newest first, or by a column, after `-` the highest first; raise WrongUsageError."""
    newest = sorted(runs, key=lambda run: run.get("submitted_at") or "", reverse=True)
    if by is None:
        return newest
    column = column_of(by.removeprefix("-").strip(), runs, known_columns(now))
    there = [run for run in newest if column.value(run) is not None]
    rest = [run for run in newest if column.value(run) is None]
    ordered = sorted(there, key=lambda run: _order(column.value(run)), reverse=by.startswith("-"))
    return [*ordered, *rest]


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers stand before texts, and each among its own."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def fitted_table(runs: Sequence[Run], shown: Sequence[Column], paint: Paint, width: int | None) -> list[str]:
    """Lay out the runs; with a width, columns are left out and names cut until they fit."""
    shown = list(shown)
    rows = [[column.text(column.value(run)) for column in shown] for run in runs]
    while width is not None and _width(shown, rows) > width:
        if not _cut_name(shown, rows, width):
            at = next((at for title in _LEAST_WANTED for at, one in enumerate(shown) if one.title == title), None)
            if at is None:
                at = len(shown) - 1
            if len(shown) == 1:
                break
            shown.pop(at)
            for row in rows:
                row.pop(at)
    paints = {at: paint for at, column in enumerate(shown) if column.title == "status"}
    return columns([column.title for column in shown], rows, (), paints)


# In this order columns are left out that do not fit; the others follow from the right.
_LEAST_WANTED = ("account", "GPUs", "experiment", "owner", "duration")


def _width(shown: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    widths = (max([cells(column.title), *(cells(row[at]) for row in rows)]) for at, column in enumerate(shown))
    return sum(widths) + _GAP * (len(shown) - 1)


def _cut_name(shown: Sequence[Column], rows: Sequence[list[str]], width: int) -> bool:
    """Shorten the names by what is too much; return whether that suffices."""
    at = next((at for at, column in enumerate(shown) if column.title == "Name"), None)
    if at is None:
        return False
    longest = max((cells(row[at]) for row in rows), default=0)
    room = longest - (_width(shown, rows) - width)
    if room < _MIN_NAME:
        return False
    for row in rows:
        row[at] = _shortened(row[at], room)
    return True


def _shortened(text: str, room: int) -> str:
    if cells(text) <= room:
        return text
    while cells(text) > room - 1:
        text = text[:-1]
    return f"{text}…"
