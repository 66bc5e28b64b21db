"""What a transfer keeps to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainyard.settings import Settings
from trainyard.stores.moving.standing import Standing


def _nobody(standing: Standing) -> None:
    pass


@dataclass(frozen=True)
class Terms:
    """`reserve` bytes of the disk stay free; `stall_seconds` without progress end it; `note` is told every second."""

    reserve: int = 0
    stall_seconds: float = 120.0
    note: Callable[[Standing], object] = _nobody

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """Read the terms from the settings `disk_reserve_bytes` and `transfer_stall_seconds`."""
        return cls(settings.disk_reserve_bytes, settings.transfer_stall_seconds)
