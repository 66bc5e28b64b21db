"""Where the time of a run went: its phases one after the other, each with its seconds, as parts of a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainyard.core.runs import Run, StepRun

# What a run does, in its order, as people say it.
_NAMES = ("queued", "validating", "staging", "waiting for GPU", "training", "storing")
# A part that is there is seen.
_MIN_WIDTH = 1.5


@dataclass(frozen=True)
class Part:
    """A phase: its seconds, whether it goes on, and its place in a bar that is 100 wide."""

    name: str
    seconds: float
    going: bool
    start: float = 0.0
    width: float = 0.0

    @property
    def kind(self) -> str:
        return self.name.split()[0]


def phases_of(run: Run, steps: Sequence[StepRun], now: float) -> list[Part]:
    """Return the phases that a run has been through, the last one going on where the run is."""
    moments = _moments(run, {step.name: step for step in steps})
    end = run.finished_at or now
    parts = []
    for at, name in enumerate(_NAMES):
        began = moments[at]
        if began is None:
            continue
        ended = next((moment for moment in moments[at + 1 :] if moment is not None), None)
        over = ended if ended is not None else end
        parts.append(Part(name, max(0.0, over - began), ended is None and run.finished_at is None))
    return _placed(parts)


def _moments(run: Run, steps: Mapping[str, StepRun]) -> list[float | None]:
    """Return when each phase began, None for one that the run did not come to."""
    validate, stage, upload = (steps.get(name) for name in ("validate", "stage", "upload"))
    staged = stage.ended_at if stage and stage.state == "success" else None
    stored = upload.started_at if upload else None
    if run.outcome and run.outcome.finished_at and run.running_at:
        stored = run.outcome.finished_at
    return [
        run.submitted_at,
        validate.started_at if validate else None,
        stage.started_at if stage else None,
        staged,
        run.running_at,
        stored,
    ]


def _placed(parts: Sequence[Part]) -> list[Part]:
    total = sum(part.seconds for part in parts)
    widths = [max(_MIN_WIDTH, 100 * part.seconds / total) if total else _MIN_WIDTH for part in parts]
    scale = 100 / sum(widths) if widths else 1.0
    placed, start = [], 0.0
    for part, width in zip(parts, widths, strict=True):
        placed.append(Part(part.name, part.seconds, part.going, round(start, 2), round(width * scale, 2)))
        start += width * scale
    return placed
