"""What a transfer has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transferred:
    """What lies at the target now, and how much of it had to be moved."""

    files: int
    bytes: int
    moved_files: int
    moved_bytes: int
    seconds: float
