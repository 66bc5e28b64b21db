"""A trial as a search knows it, whatever it is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from trainyard.domain.hyperparameters import Value
from trainyard.domain.names import derived_id
from trainyard.domain.search import Goal, Point, SearchSpec, is_part

# Points of a curve that pruners look at; a longer one is thinned.
MAX_REPORTED = 100


class TrialState(StrEnum):
    """Where a trial is; `stopped` ones were ended early, by a pruner or since the search was over."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def ended(self) -> bool:
        return self not in (TrialState.WAITING, TrialState.RUNNING)


@dataclass(frozen=True)
class Trial:
    """One point that is tried. `value` is the metric's last one, `reported` are steps and values so far.

    Times are in seconds since the epoch. `attempt` counts from 0 how often its point was tried before, since the
    infrastructure took a run; `again` says that it is to be tried once more. `storing` is one whose program has
    ended: it holds no GPU any more, but how it went is not known for sure.
    """

    number: int
    point: Point
    state: TrialState
    model_id: str = ""
    value: float | None = None
    reported: Sequence[tuple[int, float]] = ()
    began_at: float | None = None
    ended_at: float | None = None
    gpu_seconds: float = 0.0
    attempt: int = 0
    again: bool = False
    storing: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Say whether it has a value that one may compare."""
        return self.state is TrialState.COMPLETED and self.value is not None

    @property
    def seconds(self) -> float | None:
        """How long its program ran, where that is known."""
        return None if self.began_at is None or self.ended_at is None else max(0.0, self.ended_at - self.began_at)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "reported": [list(pair) for pair in self.reported]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trial:
        """Read a trial back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        parts = {
            "state": TrialState(data["state"]),
            "reported": tuple((int(step), float(value)) for step, value in data.get("reported", ())),
        }
        return cls(**{**known, **parts})


def trial_id(training_id: str, number: int, attempt: int = 0) -> str:
    """Return the model id of a trial: always the same, so that nobody can start one twice.

    The first attempt of the first trial is the training's first run.
    """
    return training_id if number == attempt == 0 else derived_id(training_id, f"{number} {attempt}")


def point_of(search: SearchSpec, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the point of a run that has these hyperparameters: those of the search that are part of it."""
    if not search.space:
        return {name: values[name] for name in search.names if name in values}
    point: dict[str, Value] = {}
    for name, parameter in search.space.items():
        if name in values and is_part(parameter, point):
            point[name] = values[name]
    return point


def best_of(trials: Iterable[Trial], goal: Goal) -> Trial | None:
    """Return the trial with the best value; the earliest of several."""
    best: Trial | None = None
    for trial in trials:
        if trial.counts and (best is None or goal.better(trial.value or 0.0, best.value or 0.0)):
            best = trial
    return best


def metric_among(metric: str, names: Iterable[str]) -> str:
    """Return the name by which a run knows a metric: this, or the only one that ends so, `val/acc` for `acc`."""
    known = list(names)
    if metric in known:
        return metric
    ending = [name for name in known if name.endswith(f"/{metric}")]
    return ending[0] if len(ending) == 1 else metric


def thinned(reported: Iterable[tuple[float, float]]) -> tuple[tuple[int, float], ...]:
    """Return a curve as pruners take it: whole steps once each, in order, finite values, not too many."""
    by_step = {int(step): float(value) for step, value in reported if step >= 0 and math.isfinite(value)}
    steps = sorted(by_step)
    if len(steps) > MAX_REPORTED:
        # The early ones all: there the trials are compared first.
        half = MAX_REPORTED // 2
        rest = steps[half:]
        steps = steps[:half] + [rest[index * (len(rest) - 1) // (half - 1)] for index in range(half)]
    return tuple((step, by_step[step]) for step in dict.fromkeys(steps))
