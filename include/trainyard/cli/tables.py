"""Rows and columns as text; the widths are those of the 2017 service, and grow where they must."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trainyard.answers.metrics import ProgressAnswer
from trainyard.cli.output import one_line, printable
from trainyard.domain.hyperparameters import as_text
from trainyard.domain.states import Phase
from trainyard.errors import hint_of

Row = Sequence[str]
Paint = Callable[[str], str]
_GAP = 3
_SENTENCES = {"Reason", "Hint", "Warning"}
_LEAST_ROOM = 20
_MAX_METRICS = 20
_RUN_HEADER = ("SI No", "Name", "guid", "status", "submitted-at")
_RUN_WIDTHS = (5, 24, 18, 7, 0)
_QUOTA_COLUMNS = {
    "account": "Account",
    "gpus": "GPUs",
    "used": "used",
    "waiting_gpus": "waited for",
    "waiting_runs": "by runs",
    "gpu_hours": "GPU hours of 7 days",
}
_SCHEDULE_HEADER = ("SI No", "Name", "guid", "schedule", "status", "next-at", "last-run", "note")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_DATASET_HEADER = ("Name", "version", "size", "files", "users", "hits", "last-used")
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_EVENT_COLUMNS = {
    "time": "Time",
    "actor": "actor",
    "remote": "from",
    "action": "action",
    "account": "account",
    "run": "run",
    "training": "training",
}
_EVENT_WIDTHS = (24, 10, 15, 16, 10, 18, 18)
_FRAMEWORK_HEADER = ("SI No", "Name", "version", "interpreter", "image")


def run_table(runs: Sequence[Mapping[str, Any]], paint: Paint) -> list[str]:
    """Lay out the runs, numbered from 1; `paint` colours the cell of the state."""
    rows = [
        (str(number), _text(run, "name"), _text(run, "model_id"), _text(run, "state"), _text(run, "submitted_at"))
        for number, run in enumerate(runs, start=1)
    ]
    return columns(_RUN_HEADER, rows, _RUN_WIDTHS, {3: paint})


def watch_rows(runs: Sequence[Mapping[str, Any]], paint: Paint) -> list[str]:
    """Lay out the runs as `list` does, with the phase."""
    rows = [
        (str(number), *(_text(run, key) for key in ("name", "model_id", "state", "phase", "submitted_at")))
        for number, run in enumerate(runs, start=1)
    ]
    header = (*_RUN_HEADER[:4], "phase", _RUN_HEADER[4])
    return columns(header, rows, (*_RUN_WIDTHS[:3], 9, 15), {3: paint})


def framework_table(frameworks: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (str(number), *(_text(framework, key) for key in _FRAMEWORK_HEADER[1:]))
        for number, framework in enumerate(({"Name": f.get("name"), **f} for f in frameworks), start=1)
    ]
    return columns(_FRAMEWORK_HEADER, rows, (5,))


def quota_table(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [tuple(_text(account, key) for key in _QUOTA_COLUMNS) for account in accounts]
    header = tuple(_QUOTA_COLUMNS.values())
    if any(account.get("budget") for account in accounts):
        header = (*header, "budget")
        rows = [(*row, _budget(account.get("budget"))) for row, account in zip(rows, accounts, strict=True)]
    return columns(header, rows)


def _budget(budget: Mapping[str, Any] | None) -> str:
    return f"{budget['used']:.1f} of {budget['gpu_hours']:g} a {budget['per']}" if budget else ""


def address_table(addresses: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            *(_text(address, key) for key in ("name", "address", "account")),
            ", ".join(address.get("on") or ()),
            "yes" if address.get("every_run") else "",
        )
        for address in addresses
    ]
    return columns(("Name", "Address", "Account", "on", "every run"), rows)


def undelivered_table(deliveries: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            *(_text(each, key) for key in ("event", "model_id", "to", "tries", "failure")),
            "given up" if each.get("dead") else _text(each, "next_at"),
        )
        for each in deliveries
    ]
    return columns(("Event", "guid", "to", "tries", "failure", "next-at"), rows)


def dataset_table(datasets: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            *(_text(dataset, key) for key in ("name", "version")),
            _size(dataset.get("size")),
            *(_text(dataset, key) for key in ("files", "users", "hits", "last_used")),
        )
        for dataset in datasets
    ]
    return columns(_DATASET_HEADER, rows)


def secret_table(secrets: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (one_line(one["name"]), _text(one, "account"), _text(one, "changed_at"), _text(one, "changed_by"))
        for one in secrets
    ]
    return columns(("Name", "Account", "Changed_at", "Changed_by"), rows)


def store_table(stores: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = ("name", "account", "endpoint_url", "region", "changed_at")
    rows = [tuple(_text(one, key) for key in keys) for one in stores]
    return columns(("Name", "Account", "Endpoint", "Region", "Changed_at"), rows)


def event_table(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out events of the audit log; what an event has no column for stands last."""
    rows = [(*(_text(event, key) for key in _EVENT_COLUMNS), _event_rest(event)) for event in events]
    return columns((*_EVENT_COLUMNS.values(), "result"), rows, _EVENT_WIDTHS)


def _event_rest(event: Mapping[str, Any]) -> str:
    details = event.get("details")
    pairs = details.items() if isinstance(details, Mapping) else ()
    reported = (f"{_text({'key': key}, 'key')}={_text({'value': value}, 'value')}" for key, value in pairs)
    return " ".join(part for part in (_text(event, "result"), _text(event, "code"), *reported) if part)


def schedule_table(schedules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out the schedules, numbered from 1."""
    rows = [
        (
            str(number),
            *(_text(schedule, key) for key in ("name", "training_id")),
            _spoken(schedule),
            *(_text(schedule, key) for key in ("state", "next_at", "last_run", "note")),
        )
        for number, schedule in enumerate(schedules, start=1)
    ]
    return columns(_SCHEDULE_HEADER, rows, _RUN_WIDTHS[:3])


def run_rows(run: Mapping[str, Any], paint: Paint = str, terminal: int | None = None) -> list[str]:
    """Lay out one run: the rows of 2017 in their order, then what else there is to tell.

    A run that went wrong also says why, and what to do. Sentences are wrapped to a terminal of so many columns.
    """
    rows = [
        ("ModelId", _text(run, "model_id")),
        ("url", _text(run, "url")),
        ("Name", _text(run, "name")),
        ("State", paint(_text(run, "state"))),
        ("Submitted_at", _text(run, "submitted_at")),
        *_identity_rows(run),
        *_phase_rows(run),
        *_progress_rows(run),
        *_transfer_rows(run.get("transfer") or {}),
        *_parameter_rows("Overrides", run.get("overrides") or {}),
        *_parameter_rows("Parameters", run.get("hyperparameters") or {}),
        *_parameter_rows("Env", run.get("env") or {}),
        *([("Secrets", ", ".join(map(one_line, run["secrets"])))] if run.get("secrets") else []),
        *_connection_rows(run.get("connections") or {}),
        *_schedule_rows(run),
        *_outcome_rows(run.get("outcome") or {}),
        *(("Watchdog", f"{_text(alarm, 'then')}: {_text(alarm, 'reason')}") for alarm in run.get("alarms") or ()),
        *_left_out_rows(run.get("left_out")),
        *_tracked_rows(run.get("tracked")),
        *_learner_rows(run),
        *_gpu_rows(run),
    ]
    return pairs(rows, terminal=terminal)


def columns(
    header: Row, rows: Sequence[Row], least: Sequence[int] = (), paints: Mapping[int, Paint] | None = None
) -> list[str]:
    """Align rows under a header, three blanks apart; no line ends in a blank."""
    lines = [header, *rows]
    least = (*least, *([0] * (len(header) - len(least))))
    widths = [max(floor, *(cells(line[at]) for line in lines)) for at, floor in enumerate(least)]
    return [_line(line, widths, (paints or {}) if line is not header else {}) for line in lines]


def pairs(rows: Iterable[tuple[str, str]], width: int = 12, terminal: int | None = None) -> list[str]:
    """Align values beside their labels; a value of several lines, or wrapped to a terminal, stays in its column."""
    indent = " " * (width + _GAP)
    room = (terminal or 0) - len(indent)
    return [
        label.ljust(width + _GAP) + _wrapped(value, room if label in _SENTENCES else 0).replace("\n", "\n" + indent)
        for label, value in rows
    ]


def _wrapped(text: str, room: int) -> str:
    """Break lines between words where there is room for some; an address or path is never broken."""
    if room < _LEAST_ROOM:
        return text
    lines = (textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) for line in text.splitlines())
    return "\n".join("\n".join(line) for line in lines)


def cells(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(_cell_width(character) for character in text)


def _cell_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line(row: Row, widths: Sequence[int], paints: Mapping[int, Paint]) -> str:
    gaps = [" " * (width - cells(text) + _GAP) for text, width in zip(row, widths, strict=True)]
    gaps[-1] = ""
    parts = (paints.get(at, str)(text) + gap for at, (text, gap) in enumerate(zip(row, gaps, strict=True)))
    return "".join(parts).rstrip()


def _connection_rows(connections: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say which stores of a run are connections of the service's; nothing where none is."""
    shown = ", ".join(f"{store}: {_text(connections, store)}" for store, name in connections.items() if name)
    return [("Connections", shown)] if shown else []


def _parameter_rows(label: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what a run trains with, or was triggered with in the place of the manifest's values; nothing without any."""
    reported = (f"{one_line(name)}={_text({name: as_text(value)}, name)}" for name, value in values.items())
    return [(label, ", ".join(reported))] if values else []


def _identity_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say whose a run is and what exactly it was made of, as far as that is known."""
    labels = (
        ("Owner", "owner"),
        ("Repeats", "parent"),
        ("Experiment", "experiment"),
        ("Image", "image"),
        ("Data_version", "data_version"),
        ("Zip_sha256", "zip_sha256"),
    )
    return [*((label, _text(run, key)) for label, key in labels if run.get(key)), *_code_rows(run.get("code"))]


def _code_rows(code: Any) -> list[tuple[str, str]]:
    """Say which commit a run's program was packed from; nothing where that is not known."""
    if not isinstance(code, Mapping):
        return []
    branch = f" ({_text(code, 'branch')})" if code.get("branch") else ""
    number = code.get("changed") or 0
    changed = f", {number} {'file' if number == 1 else 'files'} changed since" if number else ""
    return [("Commit", f"{_text(code, 'commit')}{branch}{changed}")]


def _progress_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how far the program is, if it says so, and the newest values of its metrics."""
    progress, metrics = run.get("progress"), run.get("metrics") or {}
    rows = [("Progress", progress_text(ProgressAnswer.model_validate(progress)))] if progress else []
    values = [f"{one_line(name)}={value:.6g}" for name, value in metrics.items() if isinstance(value, int | float)]
    more = [f"and {len(values) - _MAX_METRICS} more"] if len(values) > _MAX_METRICS else []
    return [*rows, *([("Metrics", ", ".join([*values[:_MAX_METRICS], *more]))] if values else [])]


def progress_text(progress: ProgressAnswer | None) -> str:
    """Say how far a program is: `step 120 of 1000, 12 %, about 14m left`."""
    if progress is None:
        return ""
    of = f" of {progress.total:.15g}" if progress.total else ""
    percent = f", {100 * progress.fraction:.0f} %" if progress.fraction is not None else ""
    left = f", about {spoken_seconds(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"step {progress.step:.15g}{of}{percent}{left}"


def spoken_seconds(seconds: float) -> str:
    """Say a length of time in its two largest units: 45s, 12m, 3h05m, 2d04h."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    days = whole // 86400
    return f"{days}d{whole % 86400 // 3600:02d}h" if days < 10 else f"{days}d"


def _schedule_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say when a run's training is trained again, and under which id where that is not the run's own."""
    schedule = run.get("schedule")
    if not isinstance(schedule, Mapping):
        return []
    training, state, following = (_text(schedule, key) for key in ("training_id", "state", "next_at"))
    parts = [_spoken(schedule), "" if state == "active" else state, f"next at {following}" if following else ""]
    of = f" (of {training})" if training != run.get("model_id") else ""
    return [("Schedule", ", ".join(filter(None, parts)) + of)]


def _spoken(schedule: Mapping[str, Any]) -> str:
    """Say when a schedule is due: the cron with its time zone, or how often the data is looked at."""
    text, seconds = _text(schedule, "schedule"), schedule.get("every_seconds")
    if not isinstance(seconds, int) or seconds <= 0:
        return text
    unit, size = next(row for row in _UNITS if seconds % row[1] == 0)
    return f"{text}, every {seconds // size}{unit}"


def _learner_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how many learners a run has, if they are several."""
    learners = run.get("learners")
    return [("Learners", str(learners))] if isinstance(learners, int) and learners > 1 else []


def _gpu_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what a run that has ended took of its account's GPUs, if it took any."""
    seconds = (run.get("outcome") or {}).get("gpu_seconds")
    return [("GPU_seconds", f"{seconds:g}")] if isinstance(seconds, int | float) and seconds > 0 else []


def _phase_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say where a run that is going is on its way, and what it waits for; that a program runs is said by its state."""
    phase, waiting = _text(run, "phase"), _text(run, "waiting")
    if not phase or phase == Phase.DONE or (phase == Phase.TRAINING and not waiting):
        return []
    return [("Phase", f"{phase}: {waiting}" if waiting else phase)]


def _transfer_rows(transfer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how far the data of a run has been moved; totals that still grow have a plus sign."""
    if not transfer.get("doing"):
        return []
    more, left = "" if transfer.get("listed") else "+", transfer.get("seconds_left")
    parts = (
        f"{_text(transfer, 'doing')} {_text(transfer, 'files')} of {_text(transfer, 'files_total')}{more} files",
        f"{_size(transfer.get('bytes'))} of {_size(transfer.get('bytes_total'))}{more}",
        f"{_size(int(transfer.get('rate') or 0))}/s",
        "" if left is None else f"{left:.0f} s left",
    )
    return [("Transfer", ", ".join(filter(None, parts)))]


def _outcome_rows(outcome: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not outcome.get("code"):
        return [("Warning", _lines(outcome.get("message")))] if outcome.get("message") else []
    exit_code = outcome.get("exit_code")
    rows = [
        ("Reason", f"{_lines(outcome.get('message'))} ({outcome['code']})".strip()),
        ("Hint", _lines(hint_of(outcome))),
        ("Exit_code", "" if exit_code is None else str(exit_code)),
    ]
    return [row for row in rows if row[1]]


def _left_out_rows(left_out: Any) -> list[tuple[str, str]]:
    """Say which files of a run are not in its bucket; nothing where all are."""
    if not isinstance(left_out, Mapping) or not left_out.get("count"):
        return []
    files = [row for row in left_out.get("files") or [] if isinstance(row, Mapping)]
    lines = [f"{_text(row, 'name')} {_text(row, 'reason')}" for row in files]
    more = f"{left_out['count']} files are not stored: learner-1/store-results.log in the bucket has all of them"
    return [("Left_out", "\n".join([*lines, *([more] if left_out["count"] > len(files) else [])]))]


def _tracked_rows(tracked: Any) -> list[tuple[str, str]]:
    """Say where a tracking server has a run, or warn that it does not; nothing for one that is not tracked."""
    if not isinstance(tracked, Mapping) or not tracked.get("connection"):
        return []
    if tracked.get("warning"):
        return [("Warning", _text(tracked, "warning"))]
    server, experiment, run = (_text(tracked, key) for key in ("connection", "experiment_id", "run_id"))
    return [("MLflow", f"{server}: experiment {experiment}, run {run}")]


def _text(data: Mapping[str, Any], key: str) -> str:
    return one_line(data.get(key))


def _size(size: Any) -> str:
    """Say a number of bytes in the largest unit that it has one of, to a tenth."""
    if not isinstance(size, int):
        return ""
    power = min(max(size.bit_length() - 1, 0) // 10, len(_SIZES) - 1)
    return f"{size / 1024**power:.{1 if power else 0}f} {_SIZES[power]}"


def _lines(text: Any) -> str:
    return "\n".join(printable(line.rstrip()) for line in str(text or "").strip().splitlines())
