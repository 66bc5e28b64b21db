"""Bringing objects into a folder: many small ones and parts of large ones side by side, verified, resumed."""

from __future__ import annotations

import errno
import shutil
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock

from trainyard.domain.digest import IN_PARTS, md5_of
from trainyard.stores.base import Entry, Store, StoreError, Why
from trainyard.stores.keys import KeysInOrder, check_keys
from trainyard.stores.moving.ahead import ahead
from trainyard.stores.moving.arriving import Arriving
from trainyard.stores.moving.journal import Journal
from trainyard.stores.moving.parallel import in_parallel
from trainyard.stores.moving.parts import Partial, Span
from trainyard.stores.moving.progress import Progress, Report
from trainyard.stores.moving.room import Room
from trainyard.stores.moving.values import Terms, Transferred
from trainyard.stores.tree import move_inside

_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY)
_Deed = Callable[[Event], None]


def download(
    store: Store,
    entries: Iterable[Entry],
    target: Path,
    threads: int,
    report: Report,
    journal: Journal | None = None,
    mode: int = 0o644,
    terms: Terms | None = None,
) -> Transferred:
    """Bring the entries into the target folder; what lies there with the same content is not moved again.

    The entries may be a listing that still goes on, in key order. Files appear whole and verified or not at all; what
    has arrived of a large one is kept in `<target>.parts`, and the next attempt goes on there. One caller at a time may
    use a target. Raise StoreError, CHANGED where an object is no longer as it was listed, or TrainyardError S302 if
    the disk has no room.
    """
    began, terms = time.monotonic(), terms or Terms()
    if isinstance(entries, Sequence):
        check_keys(entry.key for entry in entries)
    target.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.parts")
    aside.mkdir(exist_ok=True)
    progress = Progress("downloading", store.place, report, terms)
    arriving = Arriving(store, aside, Room(target, terms.reserve), progress)
    work = _Download(arriving, target, mode, journal, progress, threads)
    plan = work.of_list(entries) if isinstance(entries, Sequence) else work.of_listing(entries)
    try:
        in_parallel(plan, lambda action, stop: action(stop), threads, progress.tick)
        shutil.rmtree(aside)
    finally:
        # A thread that was left behind may be in it.
        with suppress(ValueError):
            plan.close()
        # What has arrived in part stays for the next attempt.
        with suppress(OSError):
            aside.rmdir()
    return work.counts.reported(time.monotonic() - began)


@dataclass
class _Counts:
    files: int = 0
    bytes: int = 0
    moved_files: int = 0
    moved_bytes: int = 0

    def reported(self, seconds: float) -> Transferred:
        return Transferred(self.files, self.bytes, self.moved_files, self.moved_bytes, seconds)


class _Countdown:
    def __init__(self, count: int) -> None:
        self._left, self._lock = count, Lock()

    def is_last(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0


@dataclass(frozen=True)
class _Download:
    arriving: Arriving
    target: Path
    mode: int
    journal: Journal | None
    progress: Progress
    threads: int
    counts: _Counts = field(default_factory=_Counts)

    def of_list(self, entries: Sequence[Entry]) -> Generator[_Deed, None, None]:
        """Yield what is to be done, each piece for one thread, once it is clear that there is room for all of it."""
        missing = list(self._missing(entries))
        self.arriving.keep_only(missing)
        self.arriving.check_room(self.counts.moved_bytes)
        self.progress.all_found()
        for entry in missing:
            yield from self._actions(entry)

    def of_listing(self, entries: Iterable[Entry]) -> Generator[_Deed, None, None]:
        """Yield what is to be done while the listing goes on."""
        way = KeysInOrder()
        with closing(ahead(entries)) as listed:
            for entry in self._missing(entry for entry in listed if way.check(entry.key)):
                yield from self._actions(entry)
        self.progress.all_found()

    def _missing(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        known = self.journal.read() if self.journal else {}
        empty = not any(self.target.iterdir())
        for entry in entries:
            self.counts.files += 1
            self.counts.bytes += entry.size
            self.progress.busy()
            if empty or not _lies_there(self.target, entry, known.get(entry.key)):
                self.counts.moved_files += 1
                self.counts.moved_bytes += entry.size
                self.progress.found(1, entry.size)
                yield entry

    def _actions(self, entry: Entry) -> Iterator[_Deed]:
        if not (self.arriving.store.ranged and entry.size > IN_PARTS):
            yield partial(self._whole, entry)
            return
        there = self.arriving.begin(entry)
        spans = there.missing(self.threads) or [Span(0, 0)]
        countdown = _Countdown(len(spans))
        for span in spans:
            yield partial(self._span, there, span, countdown)

    def _whole(self, entry: Entry, stop: Event) -> None:
        with self.arriving.whole(entry, stop) as file:
            self._place(file, entry)

    def _span(self, there: Partial, span: Span, countdown: _Countdown, stop: Event) -> None:
        self.arriving.fill(there, span, stop)
        if countdown.is_last():
            self._place(self.arriving.finish(there, stop), there.entry)

    def _place(self, file: Path, entry: Entry) -> None:
        _land(file, self.target, entry.key, self.mode)
        if self.journal:
            self.journal.add(entry)
        self.progress.file_done()


def _lies_there(target: Path, entry: Entry, known: Entry | None) -> bool:
    """Say whether the object's content is in the folder; `known` is what was noted when it arrived."""
    path = target / entry.key
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
        return False
    if known == entry:
        return True
    with path.open("rb") as file:
        return entry.md5 is not None and md5_of(file) == entry.md5


def _land(file: Path, target: Path, key: str, mode: int) -> None:
    """Move a whole file to its place; raise StoreError BAD_KEY if there is a file, a link or a folder in its way."""
    file.chmod(mode)
    try:
        move_inside(file, target, key)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        message = f"{key!r} has no place in {target.name}: there is a file or link in its way, or a folder"
        raise StoreError(Why.BAD_KEY, message, "Rename the object, or remove what is in its way.") from None
