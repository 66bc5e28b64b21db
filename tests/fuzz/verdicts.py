"""What became of one hostile input, and the kinds of input that there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

ACCEPTED = "accepted"
# How a judge's or the pool's verdict begins where the service is at fault.
FAILURES = ("wrong", "crashed", "slow", "big")


@dataclass(frozen=True)
class Verdict:
    """`end` is `accepted`, `refused C101` or one of FAILURES; seconds of processor time, bytes at the peak."""

    end: str
    detail: str = ""
    seconds: float = 0.0
    memory: int = 0

    @property
    def failed(self) -> bool:
        return self.end in FAILURES


@dataclass(frozen=True)
class Kind:
    """How one kind of input is made of a random state, what it is handed to, and who judges what comes of it.

    Only `run` is measured; `suffix` is that of the input's files.
    """

    make: Callable[[Random], bytes]
    run: Callable[[bytes], Any]
    judge: Callable[[bytes, Any], Verdict]
    suffix: str


def random_of(seed: str, number: int) -> Random:
    """Return the random state that makes input `number` of a campaign, whatever was made before it."""
    return Random(f"{seed}:{number}")
