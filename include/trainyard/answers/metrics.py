"""A run's metrics: its curves, thinned, and how far its program says it is."""

from __future__ import annotations

from pydantic import Field

from trainyard.answers.base import Whole

# Step, seconds since the epoch, value; a source without times has null there, one without steps counts its points.
Point = tuple[float, float | None, float]


class CurveAnswer(Whole):
    """One metric of a run: `count` points were seen, of which `points` are some.

    The first, the last and the peaks are always among them. NaN and infinities are counted in `not_finite` alone.
    """

    name: str
    source: str = ""
    count: int = 0
    points: list[Point] = Field(default_factory=list)
    last: Point | None = None
    minimum: Point | None = None
    maximum: Point | None = None
    not_finite: int = 0


class ProgressAnswer(Whole):
    """The step that the program has reached, of how many if it says so, and the seconds left at its rate so far."""

    step: float
    total: float | None = None
    fraction: float | None = None
    seconds_left: float | None = None


class MetricsAnswer(Whole):
    """A run's curves; `complete` says that nothing comes any more, `cursor` asks for what is new since.

    `whole` says that the curves have all there is, also where an answer to a cursor could not say what is new.
    """

    model_id: str
    curves: list[CurveAnswer] = Field(default_factory=list)
    progress: ProgressAnswer | None = None
    warnings: list[str] = Field(default_factory=list)
    cursor: str = ""
    complete: bool = False
    whole: bool = True


class MetricSummary(Whole):
    """What is kept of a curve beside the run itself: its final value and its extremes."""

    last: float | None = None
    minimum: float | None = None
    maximum: float | None = None
