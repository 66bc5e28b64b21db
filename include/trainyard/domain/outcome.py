"""How a run ended, as one value that travels as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trainyard.domain.states import State
from trainyard.errors import CODES, Fault, TrainyardError


@dataclass(frozen=True)
class Outcome:
    """How a run ended; times are seconds since the epoch.

    After success `code` is None and `message` is what the run warns of, most often nothing.
    """

    code: str | None = None
    message: str = ""
    cure: str = ""
    exit_code: int | None = None
    gpu_seconds: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def fault(self) -> Fault | None:
        return CODES[self.code].fault if self.code else None

    @property
    def retried(self) -> bool:
        """Say whether another attempt may help: only where the infrastructure was at fault."""
        return bool(self.code) and CODES[str(self.code)].retried

    @property
    def state(self) -> State:
        if self.code is None:
            return State.COMPLETED
        return State.CANCELED if self.code == "C204" else State.ERROR

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "fault": self.fault.value if self.fault else None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        """Read an outcome back; keys this version does not know are dropped."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})

    @classmethod
    def of(cls, error: TrainyardError) -> Outcome:
        """Turn an error into the outcome of the run that met it; its problems go into the message."""
        details = "; ".join(str(problem) for problem in error.problems)
        return cls(error.code.code, f"{error.message}: {details}" if details else error.message, error.cure)
