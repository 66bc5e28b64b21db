"""Figures and the table they are shown in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured, in one unit; `goal` is the most that the median should be."""

    name: str
    values: Sequence[float]
    unit: str
    goal: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def table(figures: Sequence[Figure]) -> list[str]:
    """Lay the figures out with their minimum, median, maximum and goal."""
    rows = [("figure", "runs", "min", "median", "max", "goal")]
    rows += [_row(figure) for figure in figures]
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    return [
        "  ".join(_cell(text, width, at) for at, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _row(figure: Figure) -> tuple[str, ...]:
    numbers = (min(figure.values), figure.median, max(figure.values))
    goal = "" if figure.goal is None else f"<= {figure.goal:g} {figure.unit}"
    return (figure.name, str(len(figure.values)), *(f"{number:.2f} {figure.unit}" for number in numbers), goal)


def _cell(text: str, width: int, at: int) -> str:
    return text.ljust(width) if at == 0 else text.rjust(width)
