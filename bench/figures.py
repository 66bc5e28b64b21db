"""Figures and the table they are shown in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_HEAD = ("figure", "runs", "min", "median", "p95", "max", "goal")


@dataclass(frozen=True)
class Figure:
    """What was measured, in one unit; `goal` is the most that a percentile, usually the median, should be."""

    name: str
    values: Sequence[float]
    unit: str
    goal: float | None = None
    goal_percentile: int = 50

    def percentile(self, percent: int) -> float:
        if len(self.values) == 1:
            return self.values[0]
        return statistics.quantiles(self.values, n=100, method="inclusive")[percent - 1]

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as data for later comparison."""
        goal = {"goal": self.goal, "goal_percentile": self.goal_percentile} if self.goal is not None else {}
        known = {"unit": self.unit, "p50": self.percentile(50), "p95": self.percentile(95), **goal}
        return {**known, "values": list(self.values)}


def table(figures: Sequence[Figure]) -> list[str]:
    """Lay the figures out with their minimum, median, 95th percentile, maximum and goal."""
    rows = [_HEAD, *map(_row, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(_cell(text, width, at) for at, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _row(figure: Figure) -> tuple[str, ...]:
    numbers = (min(figure.values), figure.percentile(50), figure.percentile(95), max(figure.values))
    digits = 0 if figure.unit == "ms" else 2
    reported = (f"{number:.{digits}f} {figure.unit}" for number in numbers)
    return (figure.name, str(len(figure.values)), *reported, _goal(figure))


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    which = "" if figure.goal_percentile == 50 else f"p{figure.goal_percentile} "
    return f"{which}<= {figure.goal:g} {figure.unit}"


def _cell(text: str, width: int, at: int) -> str:
    return text.ljust(width) if at == 0 else text.rjust(width)
