"""Files that a program is still writing: read from where the last reading ended, and known again if replaced."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from trainyard.domain.metricrules import MetricRules
from trainyard.stores.tree import is_text, walk

MAX_FILES = 500
MAX_LINE = 64 * 1024
# What is looked at of a folder: a program may leave a million files in it.
_MAX_ENTRIES = 2000
_BLOCK = 128 * 1024
_HEAD = 64
_EVALUATION, _PLAIN, _VAL_DICTS, _TRAINER = (
    "evaluation-metrics.txt",
    "metrics.jsonl",
    "val_dict_list.json",
    "trainer_state.json",
)
_SUMMARIES = ("state/logs/tb", "logs/tb")


@dataclass
class Place:
    """How far a file has been read; `inode` and `head` tell one that has taken its place.

    `skipping` says that it is read in the midst of a line that is too long; `entries`, `changed` and `size` are those
    of a file that is written whole each time.
    """

    at: int = 0
    inode: int = 0
    head: int = 0
    skipping: bool = False
    damaged: bool = False
    entries: int = 0
    changed: float = 0.0
    size: int = 0

    def follow(self, file: BinaryIO) -> int:
        """Return the file's size; start again where it is another one, or shorter than what was read of it."""
        found = os.fstat(file.fileno())
        if self.at and (found.st_ino != self.inode or found.st_size < self.at or self._head(file) != self.head):
            self.at, self.skipping, self.damaged = 0, False, False
        self.inode = found.st_ino
        return found.st_size

    def note(self, file: BinaryIO) -> None:
        self.head = self._head(file)

    def _head(self, file: BinaryIO) -> int:
        file.seek(0)
        return zlib.crc32(file.read(min(_HEAD, self.at)))


@dataclass(frozen=True)
class Sources:
    """The files of a run that hold metrics, as paths in its folder; summaries with the group that they belong to."""

    lines: tuple[str, ...]
    summaries: tuple[tuple[str, str], ...]
    val_dicts: str | None
    trainer_state: str | None


def sources(root: Path, rules: MetricRules) -> Sources:
    """Look for the files that hold metrics; no link is followed."""
    logs, above = _names(root, f"{rules.own}logs"), rules.own.count("/")
    ends = [name for name in logs if name.rpartition("/")[2] in (_EVALUATION, _PLAIN) and name.count("/") <= 2 + above]
    folders = dict.fromkeys((*(f"{rules.own}{folder}" for folder in _SUMMARIES), *rules.summaries))
    found: dict[str, str] = {}
    for folder in folders:
        for name in _names(root, folder):
            if "tfevents" in name.rpartition("/")[2]:
                found.setdefault(name, name.rpartition("/")[0].removeprefix(folder).strip("/"))
    result = _stamped(root, "result")
    states = {name: when for name, when in result.items() if name.rpartition("/")[2] == _TRAINER}
    return Sources(
        tuple(dict.fromkeys((*sorted(ends), *rules.line_files)))[:MAX_FILES],
        tuple(sorted(found.items())[:MAX_FILES]),
        f"result/{_VAL_DICTS}" if f"result/{_VAL_DICTS}" in result else None,
        max(states, key=lambda name: (states[name], name), default=None),
    )


def _names(root: Path, folder: str) -> list[str]:
    return list(_stamped(root, folder))


def _stamped(root: Path, folder: str) -> dict[str, float]:
    """Return the first of a folder's files, by their paths from the root, with when they last changed."""
    try:
        found = list(islice(walk(root, f"{folder}/"), _MAX_ENTRIES))
    except OSError:
        return {}
    return {name: kind.st_mtime for name, kind in found if is_text(name)}


def lines(file: BinaryIO, place: Place, size: int, whole: bool, returns: bool = False) -> Iterator[bytes | None]:
    """Yield each line that is there whole, None for one that is too long, and move `place` behind it.

    Meanwhile empty lines come of one that is too long.

    `whole` says that nothing is written any more, so that the last line needs no end. With `returns` a carriage return
    ends a line too, as in the bars that show progress.
    """
    file.seek(place.at)
    read, rest = place.at, b""
    while read < size:
        block = file.read(min(_BLOCK, size - read))
        if not block:
            break
        read += len(block)
        *found, rest = (rest + (block.replace(b"\r", b"\n") if returns else block)).split(b"\n")
        for line in found:
            place.at += len(line) + 1
            long, place.skipping = place.skipping or len(line) > MAX_LINE, False
            yield None if long else line
        if len(rest) > MAX_LINE:
            place.at, place.skipping, rest = read, True, b""
            yield b""  # so that whoever has no more time is heard in a line of gigabytes, too
    if whole and rest:
        place.at, long, place.skipping = place.at + len(rest), place.skipping, False
        yield None if long else rest
