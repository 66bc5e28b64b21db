"""Parallel coordinates: an axis for each value that differs, a line for each run, as numbers for a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.web.differing import common, differing
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


Values = Sequence[Mapping[str, Any]]


def axes_of(hyperparameters: Values, metrics: Values) -> list[Axis]:
    """Return the axes: hyperparameters that differ, then metrics; none where that would be a single one."""
    reached = common(metrics, _MAX_METRICS)
    names = differing(hyperparameters, _MAX_AXES - len(reached))
    columns = [(name, "hyperparameter", [values.get(name) for values in hyperparameters]) for name in names]
    columns += [(name, "metric", [values.get(name) for values in metrics]) for name in reached]
    if not names or len(columns) < 2:
        return []
    step = (WIDTH - _LEFT - _RIGHT) / (len(columns) - 1)
    return [_axis(name, kind, _LEFT + at * step, values) for at, (name, kind, values) in enumerate(columns)]


def lines_of(axes: Sequence[Axis]) -> dict[int, str]:
    """Return number of the run -> the points of its line as SVG has them, of each that has a value on two axes."""
    lines = {}
    for at in range(len(axes[0].places) if axes else 0):
        places = [(axis.x, axis.places[at]) for axis in axes]
        points = [f"{x:.1f},{y:.1f}" for x, y in places if y is not None]
        if len(points) > 1:
            lines[at] = " ".join(points)
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
