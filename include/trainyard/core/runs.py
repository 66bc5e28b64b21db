"""A run as people see it, and which runs are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trainyard.core.catalogue import Training
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase, State
from trainyard.domain.training import Framework


@dataclass(frozen=True)
class Run:
    """One run as people see it. Times are seconds since the epoch.

    `outcome` is there once nothing can change it any more, which may be before the run's last step has ended.
    `left_out` says which of its files were not stored, None where all are; `tracked` where an MLflow server has it.
    `gpus` are those of all its learners. `hyperparameters` are those that it trains with, `overrides` what of them and
    of the rest is not as in the manifest. `owner` is who started it, `parent` the run that it repeats and `trial` its
    number in a search. One that is deleted can be brought back until `deleted_until`.
    """

    model_id: str
    training_id: str
    name: str
    account: str
    framework: str
    gpus: int
    phase: Phase
    submitted_at: float
    running_at: float | None = None
    finished_at: float | None = None
    outcome: Outcome | None = None
    experiment: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, Any] | None = None
    tracked: Mapping[str, str] | None = None
    owner: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    trial: int | None = None
    learners: int = 1
    deleted_at: float | None = None
    deleted_until: float | None = None

    @property
    def key(self) -> RunKey:
        return RunKey(self.training_id, self.model_id)

    @property
    def state(self) -> State:
        if self.outcome:
            return self.outcome.state
        return self.phase.state or State.RUNNING

    @property
    def waiting(self) -> str:
        return waits_for(self.phase, self.gpus)


@dataclass(frozen=True)
class StepRun:
    """One of Airflow's steps of a run: its state there, and when it began and ended, in seconds since the epoch."""

    name: str
    state: str
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0


@dataclass(frozen=True)
class Filter:
    """Which runs are asked for; what is not given does not matter.

    `name` is a part of the run's name and `framework` a name, with its version or without, both in any case;
    `experiment`, `account` and `owner` are exact; `since` is in seconds since the epoch and includes that very moment.
    `deleted` asks for those alone that are deleted.
    """

    states: frozenset[State] = frozenset()
    name: str = ""
    experiment: str = ""
    framework: str = ""
    since: float | None = None
    account: str = ""
    owner: str = ""
    deleted: bool = False

    def takes(self, training: Training) -> bool:
        """Say whether runs of a training are asked for, as far as the training alone says: not by their names."""
        spec = training.spec
        return (  # ten thousand trainings are asked for every page, so what is not wanted costs nothing
            (not self.experiment or self.experiment == training.experiment)
            and (not self.account or self.account == training.account)
            and (not self.framework or self.framework.casefold() in _names(spec.framework))
        )

    def names(self, name: str) -> bool:
        """Say whether runs of a name are asked for."""
        return self.name.casefold() in name.casefold()

    @property
    def asks_trainings(self) -> bool:
        return bool(self.experiment or self.framework or self.account)


class Key(StrEnum):
    """What a list of runs is put in order by: what its training's record says, or how it goes and when.

    A state is by its place among the states, a duration that of the program.
    """

    SUBMITTED = "submitted"
    NAME = "name"
    EXPERIMENT = "experiment"
    OWNER = "owner"
    ACCOUNT = "account"
    FRAMEWORK = "framework"
    GPUS = "gpus"
    STATE = "state"
    STARTED = "started"
    ENDED = "ended"
    DURATION = "duration"

    def of(self, training: Training, name: str = "") -> Any:
        """Return what a run of a training is compared by, with the name that is its own; without regard to case."""
        spec = training.spec
        match self:
            case Key.NAME:
                return (name or spec.name).casefold()
            case Key.EXPERIMENT:
                return training.experiment.casefold()
            case Key.OWNER:
                return training.owner.casefold()
            case Key.ACCOUNT:
                return training.account
            case Key.FRAMEWORK:
                return str(spec.framework).casefold()
            case Key.GPUS:
                return training.plan.all_gpus
            case _:
                return 0


@dataclass(frozen=True)
class Order:
    """How a list of runs is put in order; those that are equal are in the order of their submission, as all are."""

    key: Key = Key.SUBMITTED
    descending: bool = False


def _names(framework: Framework) -> tuple[str, str]:
    return (framework.name.casefold(), str(framework).casefold())


def waits_for(phase: Phase, gpus: int) -> str:
    """Say what a run in this phase waits for, as far as the phase says; empty once its program runs."""
    if phase is Phase.WAITING_FOR_GPU and not gpus:
        return "waiting for a place to run"
    return _SENTENCES.get(phase, "")


_SENTENCES = {
    Phase.QUEUED: "waiting to be looked at",
    Phase.VALIDATING: "checking buckets, credentials and image",
    Phase.STAGING: "bringing the training data",
    Phase.WAITING_FOR_GPU: "waiting for a GPU of the account",
}
