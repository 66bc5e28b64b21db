"""A file that is to be stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Source:
    """A file to upload: its key below the prefix, its size as far as known, and how to open it."""

    key: str
    size: int
    open: Callable[[], BinaryIO]
