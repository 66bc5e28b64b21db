"""What goes into a transfer and what comes out of it, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from trainyard.settings import Settings


@dataclass(frozen=True)
class Source:
    """A file to upload: its key below the prefix, its size as far as known, and how to open it."""

    key: str
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class TransferState:
    """How far a transfer is, in files and bytes; totals grow while it still lists. `at` is seconds since the epoch.

    `rate` is bytes a second since the start; `seconds_left` is None as long as nobody can tell.
    """

    doing: str
    files: int
    files_total: int
    bytes: int
    bytes_total: int
    listed: bool
    rate: float
    seconds_left: float | None
    at: float


def _ignore(state: TransferState) -> None:
    pass


@dataclass(frozen=True)
class Terms:
    """`reserve` bytes of the disk stay free; `stall_seconds` without progress end it; `note` hears every second."""

    reserve: int = 0
    stall_seconds: float = 120.0
    note: Callable[[TransferState], object] = _ignore

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """Read the terms from the settings `disk_reserve_bytes` and `transfer_stall_seconds`."""
        return cls(settings.disk_reserve_bytes, settings.transfer_stall_seconds)


@dataclass(frozen=True)
class Transferred:
    """What lies at the target now, and how much of it had to be moved.

    `left_out` are the keys that the store cannot have, with the reason for each.
    """

    files: int
    bytes: int
    moved_files: int
    moved_bytes: int
    seconds: float
    left_out: Mapping[str, str] = field(default_factory=dict)
