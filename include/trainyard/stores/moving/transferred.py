"""What a transfer has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
