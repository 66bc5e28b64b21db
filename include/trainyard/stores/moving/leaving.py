"""Files that leave for a bucket, below a prefix of it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from threading import Event
from typing import BinaryIO

from trainyard.domain.digest import IN_PARTS, MIB, md5_of
from trainyard.stores.base import Entry, FileShrankError, Multipart, Store, StoreError, Why
from trainyard.stores.moving.parallel import StoppedError
from trainyard.stores.moving.progress import Progress
from trainyard.stores.moving.retrying import until_done
from trainyard.stores.moving.sending import Memory, Sending
from trainyard.stores.moving.values import Source
from trainyard.stores.moving.watched import Watched

# Smaller files are read once, into memory.
IN_MEMORY = MIB
_POLL_SECONDS = 0.5


class Leaving:
    """What is stored of many files; `there` is what the bucket lists. `shared` is as for `upload`."""

    def __init__(self, store: Store, prefix: str, there: Mapping[str, Entry], shared: bool, progress: Progress) -> None:
        self.store, self.prefix, self.there, self.shared, self.progress = store, prefix, there, shared, progress
        self.stored: dict[str, Entry] = {}
        # Keys below the prefix that the store cannot have, with what it says.
        self.refused: dict[str, str] = {}
        self._moved: list[int] = []
        self._sendings: list[Sending] = []
        self._memory = Memory()

    @property
    def moved(self) -> tuple[int, int]:
        """How many files and bytes had to be moved."""
        return len(self._moved), sum(self._moved)

    def begin_parts(self, key: str, file: BinaryIO, size: int) -> Sending | None:
        """Begin to send a file in parts; return None where the store takes it whole."""
        begun = self.store.in_parts(key, size, not self.shared) if size > IN_PARTS else None
        if begun is None:
            return None
        sending = Sending(file, size, begun, lambda: self._begin_again(key, size), self._memory, self.progress)
        self._sendings.append(sending)
        return sending

    def done(self, key: str, entry: Entry, moved: int | None) -> None:
        """Note what is stored now; `moved` is None where it lay there before."""
        self.stored[key] = entry
        if moved is not None:
            self._moved.append(moved)
        self.progress.file_done()

    def finished(self, sending: Sending) -> None:
        self._sendings.remove(sending)

    def abort_open(self) -> None:
        """Leave nothing half stored."""
        for sending in self._sendings:
            sending.abort()

    def _begin_again(self, key: str, size: int) -> Multipart:
        begun = self.store.in_parts(key, size, not self.shared)
        assert begun is not None, "a store takes a file of the same size in the same way"
        return begun


class LeavingFile:
    """One file: a thread begins it, and others help if it is large."""

    def __init__(self, leaving: Leaving, source: Source) -> None:
        self._all, self._source = leaving, source
        self._key = leaving.prefix + source.key
        self._sending: Sending | None = None
        self._begun = Event()

    def begin(self, stop: Event) -> None:
        """Store the file, or begin to send it in parts, unless its content is there already."""
        try:
            self._begin(stop)
        except (FileNotFoundError, FileShrankError):
            if not self._all.shared:
                raise
        except StoreError as error:
            if error.why is not Why.BAD_KEY:
                raise
            self._all.refused[self._source.key] = f"cannot have its name in the bucket: {error.message}"
        finally:
            self._begun.set()
        self._send(stop)

    def help(self, stop: Event) -> None:
        """Send parts of the file once it is begun."""
        while not self._begun.wait(_POLL_SECONDS):
            if stop.is_set():
                raise StoppedError
        self._send(stop)

    def _begin(self, stop: Event) -> None:
        file = self._source.open()
        try:
            size = file.seek(0, os.SEEK_END)
            there = self._all.there.get(self._key)
            if there and _same(self._all.store, there, Watched(file, stop, size).as_file(), size):
                self._all.progress.add(size)
                self._all.done(self._key, there, None)
                return
            self._sending = self._all.begin_parts(self._key, file, size)
            if self._sending is None:
                self._begun.set()  # there is nothing to help with
                self._put(file, size, stop)
        finally:
            if self._sending is None:
                file.close()

    def _put(self, file: BinaryIO, size: int, stop: Event) -> None:
        window = Watched(file, stop, size).as_file()
        if size <= IN_MEMORY:
            window.seek(0)
            window = io.BytesIO(window.read(size))
        digest = md5_of(window)
        entry = until_done(lambda: self._put_once(window, size, digest), stop)
        self._all.progress.add(size)
        self._all.done(self._key, replace(entry, md5=digest), size)

    def _put_once(self, window: BinaryIO, size: int, digest: str) -> Entry:
        entry = self._all.store.put(self._key, window, size)
        if entry.md5 not in (None, digest) and not self._all.shared:
            raise StoreError(Why.BROKEN, f"{self._key!r} arrived changed in {self._all.store.place}", "Try again.")
        return entry

    def _send(self, stop: Event) -> None:
        sending = self._sending
        if sending is None:
            return
        try:
            if sending.send_some(stop):
                entry = sending.finish(stop)
                self._all.finished(sending)
                self._all.done(self._key, entry, sending.moved)
        except FileShrankError:
            if not self._all.shared:
                raise
            sending.drop()


def _same(store: Store, there: Entry, source: BinaryIO, size: int) -> bool:
    if there.size != size:
        return False
    if there.md5 is not None:
        return there.md5 == md5_of(source)
    return there.etag != "" and there.etag == store.etag_in_parts(source, size)
