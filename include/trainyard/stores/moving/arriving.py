"""Objects on their way into a folder, each in a file aside until it is whole and right."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO, cast
from uuid import uuid4

from trainyard.domain.digest import MIB, PART, md5
from trainyard.stores.base import Entry, Store, StoreError, Why
from trainyard.stores.moving.parallel import StoppedError
from trainyard.stores.moving.parts import Partial, Span, partial_name
from trainyard.stores.moving.progress import Progress
from trainyard.stores.moving.retrying import until_done
from trainyard.stores.moving.room import Room
from trainyard.stores.moving.watched import Watched
from trainyard.stores.refusals import refusal

# Smaller objects are held in memory until they are verified, and written once.
IN_MEMORY = MIB


class Arriving:
    """Brings objects into the folder `aside`, from many threads, each verified; failures that pass are overcome."""

    def __init__(self, store: Store, aside: Path, room: Room, progress: Progress) -> None:
        self.store, self._aside, self._room, self._progress = store, aside, room, progress
        # An earlier attempt of this process may have left a thread behind, which must not meet these.
        self._name, self._numbers = uuid4().hex[:8], itertools.count()

    def keep_only(self, entries: Iterable[Entry]) -> None:
        """Remove what an earlier attempt has left of other objects than these."""
        kept = {partial_name(entry) for entry in entries}
        for path in self._aside.iterdir():
            if path.name.partition(".")[0] not in kept:
                path.unlink()

    def check_room(self, size: int) -> None:
        """Raise TrainyardError S302 if the disk has no room for `size` bytes, less what an earlier attempt has left."""
        left = sum(path.stat().st_blocks * 512 for path in self._aside.iterdir())
        self._room.check(max(size - left, 0))

    @contextmanager
    def whole(self, entry: Entry, stop: Event) -> Iterator[Path]:
        """Yield a file with the object, to be moved to its place."""
        path = self._aside / f"whole-{self._name}-{next(self._numbers)}"
        with self._room.claimed(entry.size):
            try:
                until_done(lambda: self._fetch(entry, path, stop), stop)
                yield path
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def begin(self, entry: Entry) -> Partial:
        """Return what is there of a large object, and be it nothing."""
        there = Partial(self._aside, entry)
        self._progress.add(there.bytes_done)
        return there

    def fill(self, there: Partial, span: Span, stop: Event) -> None:
        """Bring a part of a large object."""
        until_done(lambda: self._fill(there, span, stop), stop)

    def finish(self, there: Partial, stop: Event) -> Path:
        """Return the file of a large object, all of which is there, once it is verified."""

        def verified() -> None:
            for span in there.missing(1):
                self._fill(there, span, stop)
            if there.md5 is not None and there.digest(self._progress.busy) != there.md5:
                self._progress.add(-there.entry.size)
                there.start_over()
                raise self._broken(there.entry, "arrived changed")

        until_done(verified, stop)
        return there.take()

    def _fetch(self, entry: Entry, path: Path, stop: Event) -> None:
        if entry.size <= IN_MEMORY:
            self._fetch_small(entry, path, stop)
            return
        counted, digest = _Counted(self._progress), md5()
        with counted.taken_back_on_failure():
            with path.open("wb") as file:
                got = self._read(entry, 0, entry.size, Watched(file, stop, 0, counted.add, digest.update).as_file())
            self._check(entry, got, counted.size, digest.hexdigest)

    def _fetch_small(self, entry: Entry, path: Path, stop: Event) -> None:
        # Of thousands of these a bucket may consist: what is done for each counts.
        if stop.is_set():
            raise StoppedError
        into = io.BytesIO()
        got = self._read(entry, 0, entry.size, into)
        data = into.getbuffer()
        self._check(entry, got, len(data), lambda: md5(data).hexdigest())
        with open(path, "wb") as file:
            file.write(data)
        self._progress.add(len(data))

    def _fill(self, there: Partial, span: Span, stop: Event) -> None:
        rest = there.rest_of(span)
        if not rest.size:
            return
        with self._room.claimed(PART), closing(there.open(rest.start)) as writer:
            try:
                into = Watched(cast(BinaryIO, writer), stop, 0, self._progress.add, self._roomy()).as_file()
                got = self._read(there.entry, rest.start, rest.size, into)
                self._check(there.entry, got, there.entry.size - rest.size + writer.at - rest.start)
            except BaseException:
                self._progress.add(-writer.in_part)
                raise
        there.md5 = got.md5

    def _roomy(self) -> Any:
        seen = itertools.count(1)

        def see(_: object) -> None:
            # Another one may fill the disk meanwhile.
            if next(seen) % 16 == 0:
                self._room.check(0)

        return see

    def _read(self, entry: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        try:
            return self.store.read(entry, start, size, into)
        except StoreError as error:
            if error.why is not Why.NO_KEY:
                raise
            raise refusal(Why.CHANGED, self.store.place, "read from", entry.key, "it is gone") from None

    def _check(self, listed: Entry, got: Entry, size: int, digest: Callable[[], str] | None = None) -> None:
        if got.differs(listed):
            raise refusal(Why.CHANGED, self.store.place, "read from", listed.key)
        if size != listed.size or got.size != listed.size:
            raise self._broken(listed, f"has {size} bytes instead of {listed.size}")
        if digest is not None and got.md5 is not None and got.md5 != digest():
            raise self._broken(listed, "arrived changed")

    def _broken(self, listed: Entry, fault: str) -> StoreError:
        hint = "Try again while nobody writes to the bucket."
        return StoreError(Why.BROKEN, f"{listed.key!r} from {self.store.place} {fault}", hint)


class _Counted:
    """What one try has moved."""

    def __init__(self, progress: Progress) -> None:
        self.size, self._progress = 0, progress

    def add(self, moved: int) -> None:
        self.size += moved
        self._progress.add(moved)

    @contextmanager
    def taken_back_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._progress.add(-self.size)
            raise
