"""A run's metrics as text: a table with small curves, a line for what is new, and points as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence

from trainyard.answers.metrics import CurveAnswer, MetricsAnswer, Point
from trainyard.cli.columns import columns
from trainyard.cli.output import one_line
from trainyard.cli.runrows import progress_text
from trainyard.client.run import POINT_COLUMNS, point_rows

_HEADER = ("Metric", "last", "lowest", "at step", "highest", "at step", "points", "curve")
_WIDTH = 24
_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
_MAX_NEWS = 6


def metric_table(answer: MetricsAnswer) -> list[str]:
    """Lay out each metric with its last and extreme values, and how far the program is."""
    if not answer.curves:
        return ["The run has reported no metrics." if answer.complete else "The run has reported no metrics so far."]
    names = [curve.name for curve in answer.curves]
    rows = [_row(curve, names.count(curve.name) > 1) for curve in answer.curves]
    progress = progress_text(answer.progress)
    return [*columns(_HEADER, rows), *(["", f"Progress: {progress}"] if progress else [])]


def _row(curve: CurveAnswer, several: bool) -> tuple[str, ...]:
    name = f"{one_line(curve.name)} ({one_line(curve.source)})" if several else one_line(curve.name)
    odd = f" +{curve.not_finite} NaN or infinite" if curve.not_finite else ""
    return (
        name,
        _value(curve.last),
        *(_value(curve.minimum), _step(curve.minimum), _value(curve.maximum), _step(curve.maximum)),
        f"{curve.count}{odd}",
        sparkline([point[2] for point in curve.points]),
    )


def sparkline(values: Sequence[float], width: int = _WIDTH) -> str:
    """Draw values as a row of bars; of several values in one place the highest counts."""
    if not values:
        return ""
    bars = _BARS if _shows_bars() else _PLAIN_BARS
    low, high = min(values), max(values)
    places = min(width, len(values))
    highest = (max(values[at * len(values) // places : (at + 1) * len(values) // places]) for at in range(places))
    # Halved, so that the span of the largest numbers there are is a number, too.
    span = high / 2 - low / 2
    return "".join(bars[int((value / 2 - low / 2) / span * 7) if span > 0 else 0] for value in highest)


def _shows_bars() -> bool:
    try:
        _BARS.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def news_line(answer: MetricsAnswer) -> str:
    """Say in a line what is new: progress, and the last values of the metrics that have any."""
    values = [f"{one_line(curve.name)} {_value(curve.last)}" for curve in answer.curves if curve.last]
    more = [f"and {len(values) - _MAX_NEWS} more"] if len(values) > _MAX_NEWS else []
    return "  ".join([text for text in (progress_text(answer.progress), *values[:_MAX_NEWS], *more) if text])


def csv_rows(answer: MetricsAnswer, header: bool) -> None:
    """Write the points to stdout as CSV."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if header:
        writer.writerow(POINT_COLUMNS)
    for row in point_rows(answer):
        writer.writerow([one_line(value) if isinstance(value, str) else value for value in row.values()])


def _value(point: Point | None) -> str:
    return "" if point is None else f"{point[2]:.6g}"


def _step(point: Point | None) -> str:
    return "" if point is None else f"{point[0]:.15g}"
