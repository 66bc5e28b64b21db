"""How far a transfer is, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
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
