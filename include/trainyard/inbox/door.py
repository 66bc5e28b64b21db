"""The port to the front door, as the inbox needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class FrontDoor(Protocol):
    """Takes submissions."""

    def submit(self, account: str, manifest: Path, archive: Path, key: str) -> str:
        """Hand a submission in and return its model id; the same key again answers the same and registers nothing.

        Raise TrainyardError: with the client's fault if it is refused, with the service's if it is worth another try.
        """
