"""Moving many objects: in parallel, verified, and resumed where an earlier attempt stopped."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import BinaryIO, TypeVar

from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Store, StoreError, Why, check_key
from trainyard.stores.digest import md5_of, multipart_etag
from trainyard.stores.journal import Journal
from trainyard.stores.parallel import in_parallel
from trainyard.stores.progress import Progress, Report
from trainyard.stores.tree import move_inside
from trainyard.stores.watched import FileShrankError, Watched

T = TypeVar("T")
ATTEMPTS = 3


@dataclass(frozen=True)
class Source:
    """A file to upload: its key below the prefix, its size as far as known, and how to open it."""

    key: str
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Transferred:
    """What lies at the target now, and how much of it had to be moved."""

    files: int
    bytes: int
    moved_files: int
    moved_bytes: int
    seconds: float


def check_keys(keys: Iterable[str]) -> None:
    """Raise StoreError BAD_KEY if the keys cannot all be files below one folder; it names the keys."""
    known = {check_key(key) for key in keys}
    for key in sorted(known):
        for end in (index for index, letter in enumerate(key) if letter == "/"):
            if key[:end] in known:
                message = f"{key[:end]!r} cannot be a file, since {key!r} needs a folder of that name"
                raise StoreError(Why.BAD_KEY, message, "Rename one of the two objects.")


def download(
    store: Store,
    entries: Sequence[Entry],
    target: Path,
    threads: int,
    report: Report,
    journal: Journal | None = None,
    mode: int = 0o644,
) -> Transferred:
    """Bring the entries into the target folder; what lies there with the same content is not moved again.

    Files appear whole and verified or not at all. One caller at a time may use a target. Raise StoreError, or
    TrainyardError S302 if the disk has no room.
    """
    began = time.monotonic()
    check_keys(entry.key for entry in entries)
    target.mkdir(parents=True, exist_ok=True)
    known = journal.read() if journal else {}
    missing = [entry for entry in entries if not _lies_there(target / entry.key, entry, known.get(entry.key))]
    moved = sum(entry.size for entry in missing)
    _check_room(target, moved)
    progress = Progress("downloading", store.place, len(missing), moved, report)
    aside = target.with_name(f"{target.name}.parts")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        in_parallel(enumerate(missing), _Download(store, target, aside, mode, journal, progress), threads)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    total = sum(entry.size for entry in entries)
    return Transferred(len(entries), total, len(missing), moved, time.monotonic() - began)


def upload(
    store: Store,
    sources: Sequence[Source],
    prefix: str,
    threads: int,
    report: Report,
    shared: bool = False,
    patience: float = 15.0,
) -> Transferred:
    """Store the sources below the prefix (empty, or ending with `/`); what is there with the same content stays.

    Afterwards the bucket is listed: raise StoreError INCOMPLETE if `patience` seconds later something is not there as
    it was sent. `shared` says that others write the same files and keys meanwhile: what vanishes is left out then, and
    a key that another writer has replaced is fine. An OSError of opening or reading a source goes through.
    """
    began = time.monotonic()
    check_keys(prefix + source.key for source in sources)
    there = {entry.key: entry for entry in store.list(prefix)}
    progress = Progress("uploading", store.place, len(sources), sum(source.size for source in sources), report)
    send = _Upload(store, prefix, there, shared, progress)
    in_parallel(sources, send, threads)
    _verify(store, prefix, send.stored, shared, patience)
    total = sum(entry.size for entry in send.stored.values())
    return Transferred(len(send.stored), total, len(send.moved), sum(send.moved), time.monotonic() - began)


@dataclass(frozen=True)
class _Download:
    store: Store
    target: Path
    aside: Path
    mode: int
    journal: Journal | None
    progress: Progress

    def __call__(self, numbered: tuple[int, Entry], stop: Event) -> None:
        number, entry = numbered
        part = self.aside / str(number)
        _attempts(lambda: self._fetch(entry, part, stop), stop)
        part.chmod(self.mode)
        try:
            move_inside(part, self.target, entry.key)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY):
                raise
            message = (
                f"{entry.key!r} has no place in {self.target.name}: there is a file or link in its way, or a folder"
            )
            raise StoreError(Why.BAD_KEY, message, "Rename the object, or remove what is in its way.") from None
        if self.journal:
            self.journal.add(entry)

    def _fetch(self, entry: Entry, part: Path, stop: Event) -> None:
        counted: list[int] = []

        def count(moved: int) -> None:
            counted.append(moved)
            self.progress.add(moved)

        try:
            with part.open("w+b") as file:
                got = self.store.get(entry.key, Watched(file, stop, count=count).as_file())
                _check_got(self.store.place, entry, got, file)
        except BaseException:
            self.progress.add(-sum(counted))
            raise


@dataclass(frozen=True)
class _Upload:
    store: Store
    prefix: str
    there: Mapping[str, Entry]
    shared: bool
    progress: Progress
    stored: dict[str, Entry] = field(default_factory=dict)
    moved: list[int] = field(default_factory=list)

    def __call__(self, source: Source, stop: Event) -> None:
        key = self.prefix + source.key
        try:
            with source.open() as file:
                self.stored[key] = _attempts(lambda: self._send(key, file, stop), stop)
        except (FileNotFoundError, FileShrankError):
            if not self.shared:
                raise
        self.progress.add(source.size)

    def _send(self, key: str, file: BinaryIO, stop: Event) -> Entry:
        size = file.seek(0, os.SEEK_END)
        window = Watched(file, stop, size).as_file()
        digest = md5_of(window)
        there = self.there.get(key)
        if there and _same(there, window, size, digest):
            return there
        entry = self.store.put(key, window, size)
        if entry.md5 not in (None, digest) and not self.shared:
            raise StoreError(Why.BROKEN, f"{key!r} arrived changed in {self.store.place}", "Try again.")
        self.moved.append(size)
        return replace(entry, md5=digest)


def _attempts(deed: Callable[[], T], stop: Event) -> T:
    """Do it again after failures that may pass. An unreachable store has been tried often enough by its client."""
    for attempt in range(1, ATTEMPTS):
        try:
            return deed()
        except StoreError as error:
            if error.why is not Why.BROKEN:
                raise
            stop.wait(attempt / 2)
    return deed()


def _lies_there(path: Path, entry: Entry, known: Entry | None) -> bool:
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


def _check_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target).free
    if needed > free:
        message = f"{needed} bytes are to be downloaded and the workspace has room for {free}"
        raise TrainyardError("S302", message, "Make room in the workspace, or use a smaller dataset.")


def _check_got(place: str, listed: Entry, got: Entry, file: BinaryIO) -> None:
    size = file.tell()
    fault = ""
    if size != listed.size or got.size != listed.size:
        fault = f"has {size} bytes instead of {listed.size}"
    elif got.etag and listed.etag and got.etag != listed.etag:
        fault = "has changed since it was listed"
    elif got.md5 is not None and md5_of(file) != got.md5:
        fault = "arrived changed"
    if fault:
        raise StoreError(
            Why.BROKEN, f"{listed.key!r} from {place} {fault}", "Try again while nobody writes to the bucket."
        )


def _same(there: Entry, source: BinaryIO, size: int, digest: str) -> bool:
    if there.size != size:
        return False
    if there.md5 is not None:
        return there.md5 == digest
    return "-" in there.etag and there.etag == multipart_etag(source, size)


def _verify(store: Store, prefix: str, stored: Mapping[str, Entry], shared: bool, patience: float) -> None:
    # Swift's listings lag behind its objects by some seconds when it is busy.
    deadline, pause = time.monotonic() + patience, 0.1
    while missing := _not_listed(store, prefix, stored, shared):
        if time.monotonic() > deadline:
            some = ", ".join(repr(key) for key in missing[:3]) + (", ..." if len(missing) > 3 else "")
            message = f"{len(missing)} of {len(stored)} files are not in {store.place} as they were sent: {some}"
            raise StoreError(Why.INCOMPLETE, message, "Store the results again.")
        time.sleep(pause)
        pause *= 2


def _not_listed(store: Store, prefix: str, stored: Mapping[str, Entry], shared: bool) -> list[str]:
    if not stored:
        return []
    listed = {entry.key: entry for entry in store.list(prefix)}
    return [key for key, sent in stored.items() if key not in listed or not (shared or _as_sent(listed[key], sent))]


def _as_sent(listed: Entry, sent: Entry) -> bool:
    if listed.size != sent.size:
        return False
    # What was sent in parts has an etag that some servers list in another form; its parts were compared one by one.
    return listed.etag == sent.etag or listed.md5 in (None, sent.md5)
