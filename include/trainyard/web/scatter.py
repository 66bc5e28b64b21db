"""Points of trials as numbers for a drawing: a value over the trials, and over each hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.core.search.trials import Trial
from trainyard.domain.search import Goal
from trainyard.web.words import number

WIDTH, HEIGHT = 460, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 14, 12, 26
_MAX_TEXTS = 8


@dataclass(frozen=True)
class Dot:
    """A trial at a place of the drawing."""

    x: float
    y: float
    trial: Trial


@dataclass(frozen=True)
class Scatter:
    """Trials as dots; `line` is a step line of the best so far where there is one, marks are texts at the axes."""

    name: str
    dots: tuple[Dot, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    line: str = ""


def history(trials: Sequence[Trial], goal: Goal) -> Scatter | None:
    """Return the values of trials over their numbers, with the best so far; None where no trial has one."""
    having = [trial for trial in trials if trial.value is not None]
    if not having:
        return None
    up = _Scale([float(trial.value or 0.0) for trial in having], _HEIGHT_ENDS)
    across = _Scale([float(trial.number) for trial in trials], _WIDTH_ENDS)
    dots = tuple(Dot(across.at(trial.number), up.at(trial.value or 0.0), trial) for trial in having)
    best, points = None, list[str]()
    for dot in dots:
        value = dot.trial.value or 0.0
        if dot.trial.counts and (best is None or goal.better(value, best)):
            points += [f"{dot.x:.1f},{up.at(best):.1f}"] if best is not None else []
            best = value
            points.append(f"{dot.x:.1f},{dot.y:.1f}")
    if best is not None:
        points.append(f"{across.at(trials[-1].number):.1f},{up.at(best):.1f}")
    return Scatter("", dots, across.marks, up.marks, " ".join(points))


def slices(trials: Sequence[Trial], names: Sequence[str]) -> list[Scatter]:
    """Return the values of trials over each hyperparameter that differs among them."""
    found = (_slice(name, [trial for trial in trials if trial.counts and name in trial.point]) for name in names)
    return [one for one in found if one]


def _slice(name: str, having: Sequence[Trial]) -> Scatter | None:
    values = [trial.point[name] for trial in having]
    if len(set(values)) < 2:
        return None
    up = _Scale([float(trial.value or 0.0) for trial in having], _HEIGHT_ENDS)
    across = _of_values(values)
    dots = (Dot(across.at(trial.point[name]), up.at(trial.value or 0.0), trial) for trial in having)
    return Scatter(name, tuple(dots), across.marks, up.marks)


_WIDTH_ENDS, _HEIGHT_ENDS = (_LEFT, WIDTH - _RIGHT), (HEIGHT - _BOTTOM, _TOP)


class _Scale:
    """Numbers to places; logarithmic where they are of very different sizes."""

    def __init__(self, values: Sequence[float], ends: tuple[float, float]) -> None:
        self._low, self._high = min(values), max(values)
        self._first, self._last = ends
        self._log = self._low > 0 and self._high / self._low > 50 and ends is _WIDTH_ENDS

    def at(self, value: Any) -> float:
        low, high, here = self._low, self._high, float(value)
        if self._log:
            low, high, here = math.log(low), math.log(high), math.log(here)
        share = (here - low) / (high - low) if high > low else 0.5
        return round(self._first + share * (self._last - self._first), 1)

    @property
    def marks(self) -> tuple[tuple[float, str], ...]:
        ends = dict.fromkeys((self._low, self._high))
        return tuple((self.at(value), number(int(value) if value == int(value) else value)) for value in ends)


class _Texts:
    """Texts, and true and false, to places as far apart."""

    def __init__(self, values: Sequence[Any]) -> None:
        known = sorted({number(value) for value in values})[:_MAX_TEXTS]
        step = (_WIDTH_ENDS[1] - _WIDTH_ENDS[0]) / len(known)
        self._places = {text: round(_LEFT + (at + 0.5) * step, 1) for at, text in enumerate(known)}

    def at(self, value: Any) -> float:
        return self._places.get(number(value), WIDTH - _RIGHT)

    @property
    def marks(self) -> tuple[tuple[float, str], ...]:
        return tuple((x, text) for text, x in self._places.items())


def _of_values(values: Sequence[Any]) -> _Scale | _Texts:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _Scale([float(value) for value in values], _WIDTH_ENDS)
    return _Texts(values)
