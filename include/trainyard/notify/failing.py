"""Why a notification did not arrive, in words without anything of its address."""

from __future__ import annotations


class SendError(Exception):
    """`for_good` says that no other try can help."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good
