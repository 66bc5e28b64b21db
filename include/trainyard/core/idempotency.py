"""Claims: which trainings a submission with an idempotency key became, so that the same key again becomes no more.

A claim is a file beside the records, `<digest>.key`: a line with the ids, written before anything of these trainings
is, and a line `done` once all are registered. It is only ever appended to, so a line is there whole or not at all. A
holder's death frees it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from trainyard.workspace.locks import locked

_IDS = "ids "
_DONE = "done"
# Keys share locks, 256 in all: a lock's file stays, and there may be as many keys as there are submissions.
_LOCK_DIGITS = 2


class Claim:
    """What is known of one key: `ids` of the trainings it stands for, and whether all of them were registered."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        file.seek(0)
        lines = [line.rstrip("\n") for line in file if line.endswith("\n")]
        # Half a line is left by a death before anything was registered under it.
        named = [line.split()[1:] for line in lines if line.startswith(_IDS)]
        self.ids: tuple[str, ...] = tuple(named[-1]) if named else ()
        self.done = bool(lines) and lines[-1] == _DONE

    def take(self, ids: Sequence[str]) -> None:
        """Say under which ids the submission is about to be registered."""
        self._append(_IDS + " ".join(ids))
        self.ids = tuple(ids)

    def finish(self) -> None:
        self._append(_DONE)
        self.done = True

    def _append(self, line: str) -> None:
        # The first line end closes what a death may have left half written.
        self._file.write(f"\n{line}\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def claimed(folder: Path, account: str, key: str) -> Iterator[Claim]:
    """Hold the claim of an account's key; whoever else asks for it, on any machine, waits."""
    path = _path(folder, account, key)
    with locked(folder / f".claims-{path.name[:_LOCK_DIGITS]}.lock"), path.open("a+", encoding="utf-8") as file:
        claim = Claim(file)
        try:
            yield claim
        finally:
            if not claim.ids:
                path.unlink(missing_ok=True)


def give_up(folder: Path, account: str, key: str) -> None:
    """Forget a claim, to be called while it is held or when nobody needs it any more."""
    _path(folder, account, key).unlink(missing_ok=True)


def _path(folder: Path, account: str, key: str) -> Path:
    return folder / (hashlib.sha256(f"{account}\0{key}".encode()).hexdigest() + ".key")
