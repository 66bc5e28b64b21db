"""The states and phases of a run, and what each says of itself."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What people see of a run. Terminal states are never left."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        return self in (State.COMPLETED, State.ERROR, State.CANCELED)


class Phase(StrEnum):
    """Where a run is on its way, finer than its state."""

    QUEUED = "queued"
    VALIDATING = "validating"
    STAGING = "staging"
    WAITING_FOR_GPU = "waiting-for-gpu"
    INSTALLING = "installing"
    TRAINING = "training"
    STORING = "storing"
    DONE = "done"

    @property
    def state(self) -> State | None:
        """The state of a run in this phase; None for `done`, where the outcome decides."""
        if self is Phase.DONE:
            return None
        return State.RUNNING if self in (Phase.INSTALLING, Phase.TRAINING, Phase.STORING) else State.PENDING
