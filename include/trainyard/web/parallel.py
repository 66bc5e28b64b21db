"""Parallel coordinates: an axis for each value that differs, a line for each run, as numbers for a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.web.rows import Row, common_metrics, differing
from trainyard.web.words import number

WIDTH, HEIGHT = 1000, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 60, 40, 30
_MAX_AXES = 10
_MAX_METRICS = 3
_MAX_TEXTS = 12


@dataclass(frozen=True)
class Axis:
    """An axis at `x`; `marks` are the texts at its places, `values` the place of each run's value, None for none."""

    name: str
    kind: str
    x: float
    marks: tuple[tuple[float, str], ...]
    places: tuple[float | None, ...]


@dataclass(frozen=True)
class Line:
    """The points of one run's line, as SVG has them."""

    run: Any
    points: str
    colour: int


def axes_of(rows: Sequence[Row]) -> list[Axis]:
    """Return the axes: hyperparameters that differ, then metrics; none where that would be a single one."""
    metrics = common_metrics(rows, _MAX_METRICS)
    names = differing([row.hyperparameters for row in rows], _MAX_AXES - len(metrics))
    columns = [(name, "hyperparameter", [row.hyperparameters.get(name) for row in rows]) for name in names]
    columns += [(name, "metric", [row.metrics.get(name) for row in rows]) for name in metrics]
    if not names or len(columns) < 2:
        return []
    step = (WIDTH - _LEFT - _RIGHT) / (len(columns) - 1)
    return [_axis(name, kind, _LEFT + at * step, values) for at, (name, kind, values) in enumerate(columns)]


def lines_of(rows: Sequence[Row], axes: Sequence[Axis]) -> list[Line]:
    """Return the line of each run that has a value on two axes."""
    lines = []
    for at, row in enumerate(rows):
        places = [(axis.x, axis.places[at]) for axis in axes]
        points = [f"{x:.1f},{y:.1f}" for x, y in places if y is not None]
        if len(points) > 1:
            lines.append(Line(row.run, " ".join(points), at % 20))
    return lines


def _axis(name: str, kind: str, x: float, values: Sequence[Any]) -> Axis:
    there = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return _of_numbers(name, kind, x, values)
    texts = sorted({number(value) for value in there})[:_MAX_TEXTS]
    at = {text: _y(place / max(1, len(texts) - 1)) for place, text in enumerate(texts)}
    return Axis(name, kind, x, tuple((y, text) for text, y in at.items()), tuple(at.get(number(v)) for v in values))


def _of_numbers(name: str, kind: str, x: float, values: Sequence[Any]) -> Axis:
    there = [float(value) for value in values if value is not None]
    low, high = min(there), max(there)
    span = high - low
    places = tuple(None if value is None else _y((float(value) - low) / span if span else 0.5) for value in values)
    marks = ((_y(0), number(low)), (_y(1), number(high))) if span else ((_y(0.5), number(low)),)
    return Axis(name, kind, x, marks, places)


def _y(part: float) -> float:
    return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)
