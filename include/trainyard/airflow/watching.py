"""What the triggers that look for ever have in common."""

from __future__ import annotations

from airflow.triggers.base import BaseEventTrigger


class WatchTrigger(BaseEventTrigger):
    """A trigger whose looks may fail without an end; `failing` says in the log what cannot be done then."""

    failing = ""

    def __init__(self) -> None:
        super().__init__()
        self._trouble = ""

    def report(self, error: Exception) -> None:
        """Log a trouble once, not at every look."""
        if str(error) != self._trouble:
            self.log.warning("%s: %s", self.failing, error)
        self._trouble = str(error)
