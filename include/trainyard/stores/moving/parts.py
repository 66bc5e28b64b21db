"""A large object on its way into a folder: the file in parts, and beside it what of it has arrived."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from trainyard.domain.digest import PART, md5
from trainyard.stores.base import Entry, content_of

# The fewest bytes worth a request of their own: some servers digest the whole object for each. rclone asks for as many.
SPAN = 4 * PART
# What the processor's own memory holds: larger pieces, each in memory of its own, take twice the time to be read.
_PIECE = 256 * 1024
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LINE = re.compile(r"(\d+);")


@dataclass(frozen=True)
class Span:
    """Bytes of an object that one request brings."""

    start: int
    size: int


def partial_name(entry: Entry) -> str:
    """Return the file name of an object that is arriving: another one as soon as the object is another."""
    return hashlib.sha256(json.dumps([entry.key, entry.size, *content_of(entry)]).encode()).hexdigest()[:32]


class Partial:
    """The file `<folder>/<name>`, and `<name>.done` with a line for each part that is in it.

    A killed transfer goes on where its lines end. After a crash of the machine lines may speak of what never reached
    the disk: they count then only if a digest tells in the end whether the file is right. `md5` is the digest that the
    store says, as known by now.
    """

    def __init__(self, folder: Path, entry: Entry) -> None:
        self.entry, self.md5 = entry, entry.md5
        self.path = folder / partial_name(entry)
        self._side = self.path.with_name(f"{self.path.name}.done")
        self._lock = Lock()
        self._begin(self._known())

    def missing(self, most: int) -> list[Span]:
        """Return what has not arrived, in at most about `most` spans where they are large enough."""
        runs = _runs(sorted(set(range(self._count)) - self._done))
        left = sum(run.stop - run.start for run in runs)
        length = max(SPAN // PART, math.ceil(left / max(most, 1)))
        return [self._span(piece) for run in runs for piece in _pieces(run, length)]

    def arrived(self, number: int) -> None:
        """Note that a part is in the file."""
        with self._lock:
            if number not in self._done:
                self._done.add(number)
                with self._side.open("a", encoding="ascii") as file:
                    # The newline leads, so that a line after one that was cut off is whole.
                    file.write(f"\n{number};")
        if self.entry.md5 is not None:
            self._chaser.follow(self._there)

    @property
    def bytes_done(self) -> int:
        return sum(self._span(range(number, number + 1)).size for number in self._done)

    def rest_of(self, span: Span) -> Span:
        """Return what is left of a span, from its first part that is not there."""
        end = span.start + span.size
        start = min(self._there(span.start), end)
        return Span(start, end - start)

    def digest(self, busy: Callable[[], object]) -> str:
        """Return the MD5 of the file once all of it is there; `busy` is called now and then."""
        return self._chaser.finish(busy)

    def start_over(self) -> None:
        """Forget what has arrived."""
        self._begin(set())

    def open(self, start: int) -> PartWriter:
        """Return a file to write to from a part's start on; parts are noted as they fill."""
        return PartWriter(self, start)

    def take(self) -> Path:
        """Let go of the file, which is whole now, and return where it is."""
        self._side.unlink(missing_ok=True)
        return self.path

    @property
    def _count(self) -> int:
        return math.ceil(self.entry.size / PART)

    def _begin(self, known: set[int]) -> None:
        self._done = known
        self._chaser = Chaser(self.path, self.entry.size)
        if not known:
            self.path.unlink(missing_ok=True)
            with self.path.open("wb") as file:
                file.truncate(self.entry.size)
            self._side.write_text(_boot(), encoding="ascii")

    def _known(self) -> set[int]:
        try:
            first, *lines = self._side.read_text(encoding="ascii").split("\n")
            whole = self.path.stat().st_size == self.entry.size
        except (OSError, ValueError):
            return set()
        if not whole or not (self.entry.md5 or (first and first == _boot())):
            return set()
        numbers = (int(found[1]) for line in lines if (found := _LINE.fullmatch(line)))
        return {number for number in numbers if number < self._count}

    def _there(self, start: int) -> int:
        number = start // PART
        while number in self._done:
            number += 1
        return min(number * PART, self.entry.size)

    def _span(self, parts: range) -> Span:
        start = parts.start * PART
        return Span(start, min(parts.stop * PART, self.entry.size) - start)


class PartWriter:
    """Writes into a partial file at a place of its own. `at` is where the next byte goes."""

    def __init__(self, partial: Partial, start: int) -> None:
        self.at = start
        self._partial, self._begun = partial, start
        self._file = os.open(partial.path, os.O_WRONLY)

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, self.at)
            view = view[written:]
            self.at += written
        self._note()
        return len(data)

    @property
    def in_part(self) -> int:
        """How many of the last bytes are of a part that is not whole."""
        return self.at - self._begun

    def close(self) -> None:
        os.close(self._file)

    def _note(self) -> None:
        while self.at > self._begun and self.at >= (end := min(self._begun + PART, self._partial.entry.size)):
            self._partial.arrived(self._begun // PART)
            self._begun = end


class Chaser:
    """Digests the file from its start as far as it is there, while it is still in the machine's memory."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._digest, self._at = md5(), 0
        self._lock = Lock()

    def follow(self, there: Callable[[int], int]) -> None:
        """Digest what is there now, unless a thread is at it; `there` says how far from a given byte on."""
        if self._lock.acquire(blocking=False):
            try:
                self._advance(there(self._at), lambda: None)
            finally:
                self._lock.release()

    def finish(self, busy: Callable[[], object]) -> str:
        """Digest the rest, all of which is there, and return the MD5; `busy` is called now and then."""
        with self._lock:
            self._advance(self._size, busy)
            return self._digest.hexdigest()

    def _advance(self, end: int, busy: Callable[[], object]) -> None:
        if end <= self._at:
            return
        piece = memoryview(bytearray(_PIECE))
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._at)
            while self._at < end and (size := file.readinto(piece[: end - self._at])):
                self._digest.update(piece[:size])
                self._at += size
                busy()


def _runs(numbers: Iterable[int]) -> list[range]:
    runs: list[range] = []
    for number in numbers:
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs


def _pieces(run: range, length: int) -> list[range]:
    """Cut a run into pieces of about the same length, none of them shorter than asked for."""
    count = max(len(run) // length, 1)
    return [run[len(run) * number // count : len(run) * (number + 1) // count] for number in range(count)]


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
