"""Metrics in lines of JSON: plain ones, and the evaluation metrics of the 2017 service."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

from trainyard.workspace.metrics.curves import Seen, named, number

PLAIN, EVALUATION = "jsonl", "evaluation-metrics"
MAX_VALUES = 1000
_STEPS = ("step", "global_step", "_step", "iteration")
_TIMES = ("time", "timestamp", "_timestamp", "wall_time")
_TOTALS = ("total_steps", "max_steps", "total")
_SKIPPED = frozenset((*_STEPS, *_TIMES, *_TOTALS))
# A moment after this is in milliseconds, as WML writes them.
_MILLISECONDS = 1e11
_DEEPEST = 4


class LineRead(NamedTuple):
    """What one line holds; `step` and `total` are what it says of the program's progress."""

    source: str
    points: list[Seen]
    step: float | None = None
    total: float | None = None


def read_line(line: bytes) -> LineRead | None:
    """Read a line, None for one that is empty; raise ValueError for one that holds no metrics."""
    if not line.strip():
        return None
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("no map")  # noqa: TRY004 - the line is at fault, not its type in Python
    if isinstance(found.get("values"), dict) and not isinstance(found.get("step"), int | float):
        return _evaluation(found)
    return plain(found)


def plain(found: Mapping[str, Any]) -> LineRead:
    """Read `{"step": 1, "loss": 0.3}`; maps within are read with their names before a slash."""
    step, time = _first(found, _STEPS), moment(_first(found, _TIMES))
    points: list[Seen] = []
    for key, value in found.items():
        if type(value) is float or type(value) is int:
            if key not in _SKIPPED:
                points.append(Seen(named(key), step, time, _float(value)))
        elif type(value) is dict:
            points.extend(Seen(name, step, time, inner) for name, inner in _within(key, value, 1))
    return LineRead(PLAIN, points[:MAX_VALUES], step, _first(found, _TOTALS))


def _within(above: str, found: Mapping[str, Any], depth: int) -> Iterator[tuple[str, float]]:
    for key, value in found.items():
        if type(value) is float or type(value) is int:
            yield named(above, key), _float(value)
        elif type(value) is dict and depth < _DEEPEST:
            yield from _within(named(above, key), value, depth + 1)


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf


def _evaluation(found: Mapping[str, Any]) -> LineRead:
    """Read a line of the 2017 service: a label, times with an iteration, and values that are texts with a type."""
    meta, times = (part if isinstance(part, dict) else {} for part in (found.get("meta"), found.get("etimes")))
    label = found.get("grouplabel")
    step, time = number(_value(times.get("iteration"))), moment(number(meta.get("time")))
    group = label if isinstance(label, str) else ""
    values = ((key, number(_value(item))) for key, item in list(found["values"].items())[:MAX_VALUES])
    points = [Seen(named(group, key), step, time, value) for key, value in values if value is not None]
    return LineRead(EVALUATION, points, step)


def moment(value: float | None) -> float | None:
    """Return a moment in seconds since the epoch, of one in milliseconds too; None for what is none."""
    if value is None or not 0 < value < 1e15:
        return None
    return value / 1000 if value > _MILLISECONDS else value


def _value(item: Any) -> Any:
    return item.get("value") if isinstance(item, dict) else item


def _first(found: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    for name in names:
        if name in found:
            value = number(found[name])
            if value is not None and abs(value) < 2**53:
                return value
    return None
