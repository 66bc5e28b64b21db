"""The errors that only clients have."""

from __future__ import annotations

from trainyard.errors import TrainyardError


class WrongUsageError(TrainyardError):
    """The client was used wrongly, and nothing was asked of the service; a shell sees exit code 2."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("C110", message, hint)


class UnreachableError(TrainyardError):
    """No usable answer came from the service. `sent` says whether it may have received the request."""

    def __init__(self, message: str, hint: str, sent: bool = True) -> None:
        super().__init__("S500", message, hint)
        self.sent = sent


class ForeignAnswerError(TrainyardError):
    """A refusal that the service did not write: its host did, or a proxy before it."""
