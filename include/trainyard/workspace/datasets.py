"""The dataset cache: every version of a bucket is downloaded once and shared by all runs that need it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from trainyard.domain.training import StoreRef
from trainyard.stores.base import Entry, Store, Why, content_of
from trainyard.stores.moving.progress import Report
from trainyard.stores.moving.values import Terms
from trainyard.stores.refusals import refusal
from trainyard.stores.sampling import check_readable
from trainyard.stores.transfer import Transferred, check_keys, download
from trainyard.stores.tree import open_folders, scan
from trainyard.workspace.copies import Copy, Counts, copies_in, link_known
from trainyard.workspace.eviction import Eviction
from trainyard.workspace.holds import Holds
from trainyard.workspace.layout import Workspace
from trainyard.workspace.locks import locked

VERSION = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Dataset:
    """A staged version of a bucket. `hit` says that nothing had to be done for it."""

    path: Path
    version: str
    files: int
    bytes: int
    downloaded_bytes: int
    hit: bool


@dataclass(frozen=True)
class Cached:
    """A version in the cache. `key` is the name of its bucket's folder, `place` that of the bucket for people.

    `users` are the runs that hold it now, `hits` is how many found it there; `last_used` is in seconds since the epoch.
    """

    key: str
    place: str
    version: str
    files: int
    bytes: int
    users: tuple[str, ...]
    hits: int
    last_used: float


@dataclass(frozen=True)
class _Wanted:
    """What a run asks for: the objects of its bucket, which it can list."""

    store: Store
    entries: Sequence[Entry]
    user: str
    threads: int

    @property
    def counts(self) -> Counts:
        return Counts(self.store.place, len(self.entries), sum(entry.size for entry in self.entries))


class DatasetCache:
    """The versions of all buckets below `datasets/` of the workspace, `max_bytes` of them unless runs use more.

    Two locks, both freed by their holder's death: a bucket's own is held while it is downloaded, for hours perhaps; the
    guard, for a moment, while a version is taken, published or evicted.
    """

    def __init__(self, workspace: Workspace, max_bytes: int | None = None) -> None:
        self._workspace = workspace
        self._root = workspace.root / "datasets"
        self._guard = self._root / ".guard"
        self._holds = Holds(self._root)
        self._max_bytes = max_bytes

    def obtain(
        self,
        ref: StoreRef,
        store: Store,
        user: str,
        threads: int,
        report: Report,
        wanted: Callable[[Entry], bool] = lambda _: True,
        terms: Terms | None = None,
    ) -> Dataset:
        """Return the bucket as it is now, held for the user (a model id); download what no version has yet.

        What is there already is given only to a store that lets itself be listed and read. Raise StoreError; EMPTY
        where there is no object.
        """
        entries = sorted((entry for entry in store.list() if wanted(entry)), key=lambda entry: entry.key)
        if not entries:
            raise refusal(Why.EMPTY, store.place, "read from")
        check_keys(entry.key for entry in entries)
        asked = _Wanted(store, entries, user, threads)
        copy = Copy(self._workspace.dataset(ref), version_of(entries))
        if self._take(copy, asked):
            return _dataset(copy, asked.counts)
        with locked(copy.lock, lambda: report(f"waiting for another run that stages {store.place}")) as still_locked:
            if self._take(copy, asked):
                return _dataset(copy, asked.counts)
            try:
                moved = self._fill(copy, asked, report, terms or Terms())
            except OSError:
                still_locked()  # who took over may have published the very folder
                raise
            still_locked()
            self._publish(copy, asked)
        return _dataset(copy, asked.counts, moved.moved_bytes, hit=False)

    def kept(self, ref: StoreRef, store: Store, user: str, version: str) -> Dataset | None:
        """Return a version of a bucket, held for the user, whatever the bucket has now; None where it is not kept.

        It is given only to a store that lets itself be listed. Raise StoreError.
        """
        copy = Copy(self._workspace.dataset(ref), version)
        if not VERSION.fullmatch(version) or not copy.path.is_dir():
            return None
        next(iter(store.list()), None)
        with locked(self._guard):
            counts = copy.counts()
            sizes = scan(copy.path).files.values() if copy.path.is_dir() else ()
            if (len(sizes), sum(sizes)) != (counts.files, counts.bytes):
                return None
            self._holds.set(user, copy.path)
        return _dataset(copy, counts)

    def hold(self, path: Path, model_id: str) -> None:
        """Keep the version at this path from being evicted until the run releases it; a run holds one version."""
        with locked(self._guard):
            self._holds.set(model_id, path)

    def held(self, model_id: str) -> Dataset | None:
        """Return what the run holds."""
        path = self._holds.of(model_id)
        if path is None or not path.is_dir():
            return None
        copy = Copy(path.parent, path.name)
        return _dataset(copy, copy.counts())

    def release(self, model_id: str) -> None:
        """Let go of what the run holds; nothing is fine."""
        with locked(self._guard):
            path = self._holds.of(model_id)
            self._holds.remove(model_id)
            if path is not None and path.is_dir():
                Copy(path.parent, path.name).used.touch()

    def evict(self, max_bytes: int, dry: bool = False) -> list[str]:
        """Remove versions and abandoned downloads, longest unused first, until the cache fits; return their paths.

        What a run holds or downloads stays, even if the cache does not fit then. Files that versions share count once.
        A `dry` eviction removes nothing and returns what would go now.
        """
        eviction = self._eviction(dry)
        return [self._workspace.subpath(copy.path) for copy in eviction.free(eviction.total - max_bytes)]

    def cached(self) -> list[Cached]:
        """Return the versions there are, in the order of their buckets, the last used first."""
        users = self._holds.all()
        found = [_cached(copy, users.get(copy.path, [])) for copy in self._copies() if copy.path.is_dir()]
        return sorted(found, key=lambda each: (each.place, -each.last_used))

    def _take(self, copy: Copy, asked: _Wanted) -> bool:
        if not copy.is_whole(asked.entries):
            return False
        check_readable(asked.store, asked.entries, asked.threads)
        with locked(self._guard):
            if not copy.path.is_dir():
                return False
            counts = copy.counts()
            again = self._holds.of(asked.user) == copy.path
            copy.count(counts if again else replace(counts, hits=counts.hits + 1))
            self._holds.set(asked.user, copy.path)
        return True

    def _fill(self, copy: Copy, asked: _Wanted, report: Report, terms: Terms) -> Transferred:
        with locked(self._guard), suppress(FileNotFoundError):
            copy.path.rename(copy.incoming)  # it has lost files: what is left of it need not be moved again
        linked = link_known(copy, asked.entries)
        if linked:
            report(f"{linked} of {len(asked.entries)} files are as in an earlier version")
        there = [entry for entry in asked.entries if copy.has(entry)]
        check_readable(asked.store, there, asked.threads)
        copy.count(asked.counts)
        missing = asked.counts.bytes - sum(entry.size for entry in there) - copy.bytes_in_parts
        self._make_room(copy, missing, terms.reserve, report)
        return download(
            asked.store, asked.entries, copy.incoming, asked.threads, report, copy.journal, mode=0o444, terms=terms
        )

    def _make_room(self, copy: Copy, needed: int, reserve: int, report: Report) -> None:
        lacking = needed + reserve - shutil.disk_usage(copy.bucket).free
        # Looking at every file takes its time: not before the plain sum says that it may not fit.
        if lacking <= 0 and (self._max_bytes is None or self._counted() <= self._max_bytes):
            return
        eviction = self._eviction(beside=copy)
        if self._max_bytes is not None:
            lacking = max(lacking, eviction.total + needed - self._max_bytes)
        for gone in eviction.free(lacking):
            report(f"removed version {gone.version} of {gone.place}, which no run uses, to make room")

    def _publish(self, copy: Copy, asked: _Wanted) -> None:
        # A umask must not keep the pods, which may run as another user, from reading.
        open_folders(copy.incoming, 0o755)
        with locked(self._guard):
            copy.incoming.rename(copy.path)
            self._holds.set(asked.user, copy.path)
            copy.count(asked.counts)
        for other in copies_in(copy.bucket):
            if not other.path.exists():
                other.remove()

    def _eviction(self, dry: bool = False, beside: Copy | None = None) -> Eviction:
        return Eviction(self._copies(), self._guard, self._holds, dry, beside)

    def _counted(self) -> int:
        return sum(copy.counts().bytes for copy in self._copies())

    def _copies(self) -> list[Copy]:
        return [copy for cache in self._root.glob("*/.cache") for copy in copies_in(cache.parent)]


def version_of(entries: Iterable[Entry]) -> str:
    """Return the name of a bucket's content: the same exactly if keys, sizes and etags are.

    Where a store gives no etags it is the time of the last change, if it gives that.
    """
    listing = sorted((entry.key, entry.size, *content_of(entry)) for entry in entries)
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]


def _dataset(copy: Copy, counts: Counts, downloaded: int = 0, hit: bool = True) -> Dataset:
    return Dataset(copy.path, copy.version, counts.files, counts.bytes, downloaded, hit)


def _cached(copy: Copy, users: Sequence[str]) -> Cached:
    known = copy.counts()
    return Cached(
        key=copy.bucket.name,
        place=known.place,
        version=copy.version,
        files=known.files,
        bytes=known.bytes,
        users=tuple(users),
        hits=known.hits,
        last_used=copy.last_used,
    )
