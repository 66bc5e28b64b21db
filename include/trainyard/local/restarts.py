"""When a part of the stack that ended is started again, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

_FIRST_SECONDS = 1.0
_MAX_SECONDS = 60.0
# A part that has run for so long works; what ends it then is not what ended it before.
_WORKS_SECONDS = 300.0


@dataclass
class Backoff:
    """How long a part waits for its next start: a second, and twice as long after each start that did not last."""

    pid: int = 0
    due: float = 0.0
    _pause: float = field(default=_FIRST_SECONDS, repr=False)

    def note_end(self, pid: int, lived_seconds: float, now: float) -> bool:
        """Note that a process was found ended; return whether that is news."""
        if pid == self.pid:
            return False
        self.pid = pid
        if lived_seconds >= _WORKS_SECONDS:
            self._pause = _FIRST_SECONDS
        self._wait(now)
        return True

    def postpone(self, now: float) -> None:
        """Wait once more, for twice as long."""
        self._wait(now)

    def _wait(self, now: float) -> None:
        self.due = now + self._pause
        self._pause = min(self._pause * 2, _MAX_SECONDS)


@dataclass(frozen=True)
class Restarts:
    """How often a part was started again, when (in seconds of the epoch) and how it last ended, what hinders it now.

    `exit_code` is None where the system did not say: only a process's parent gets to know it.
    """

    count: int = 0
    ended_at: float | None = None
    exit_code: int | None = None
    hindrance: str = ""

    @property
    def last_exit(self) -> dict[str, object] | None:
        """When and with which code the part last ended, as JSON data; None where it never did."""
        if self.ended_at is None:
            return None
        at = datetime.fromtimestamp(self.ended_at, UTC)
        return {"at": at.isoformat(timespec="seconds"), "exit_code": self.exit_code}
