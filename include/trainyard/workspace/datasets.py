"""The dataset cache: every version of a bucket is downloaded once and shared by all runs that need it."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trainyard.domain.training import StoreRef
from trainyard.stores.base import Entry, Store, Why
from trainyard.stores.journal import Journal
from trainyard.stores.progress import Report
from trainyard.stores.refusals import refusal
from trainyard.stores.transfer import check_keys, download
from trainyard.stores.tree import open_folders, remove
from trainyard.workspace.layout import Workspace
from trainyard.workspace.locks import locked, locked_if_free


@dataclass(frozen=True)
class Dataset:
    """A staged version of a bucket. `hit` says that nothing had to be done for it."""

    path: Path
    version: str
    files: int
    bytes: int
    downloaded_bytes: int
    hit: bool


class DatasetCache:
    """The versions of all buckets below `datasets/` of the workspace.

    Two locks, both freed by their holder's death: a bucket's own is held while it is downloaded, for hours perhaps; the
    guard, for a moment, while a version is taken, published or evicted.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._root = workspace.root / "datasets"
        self._guard = self._root / ".guard"
        self._holds = self._root / ".holds"

    def obtain(
        self,
        ref: StoreRef,
        store: Store,
        user: str,
        threads: int,
        report: Report,
        wanted: Callable[[Entry], bool] = lambda _: True,
    ) -> Dataset:
        """Return the bucket as it is now, held for the user (a model id); download what no version has yet.

        Raise StoreError; EMPTY where there is no object.
        """
        entries = sorted((entry for entry in store.list() if wanted(entry)), key=lambda entry: entry.key)
        if not entries:
            raise refusal(Why.EMPTY, store.place, "read from")
        check_keys(entry.key for entry in entries)
        version = version_of(entries)
        copy = _Copy(self._workspace.dataset(ref), version)
        if self._take(copy, user):
            return _dataset(copy, entries)
        with locked(copy.lock, lambda: report(f"waiting for another run that stages {store.place}")):
            if self._take(copy, user):
                return _dataset(copy, entries)
            linked = _link_known(copy, entries)
            if linked:
                report(f"{linked} of {len(entries)} files are as in an earlier version")
            moved = download(store, entries, copy.incoming, threads, report, copy.journal, 0o444)
            self._publish(copy, user)
        return _dataset(copy, entries, moved.moved_bytes, hit=False)

    def hold(self, path: Path, model_id: str) -> None:
        """Keep the version at this path from being evicted until the run releases it; a run holds one version."""
        with locked(self._guard):
            self._hold(path, model_id)

    def held(self, model_id: str) -> Dataset | None:
        """Return what the run holds."""
        with suppress(FileNotFoundError):
            path = self._root / (self._holds / model_id).read_text()
            copy = _Copy(path.parent, path.name)
            if path.is_dir():
                return _dataset(copy, list(copy.journal.read().values()))
        return None

    def release(self, model_id: str) -> None:
        """Let go of what the run holds; nothing is fine."""
        with locked(self._guard), suppress(FileNotFoundError):
            path = self._root / (self._holds / model_id).read_text()
            (self._holds / model_id).unlink()
            _Copy(path.parent, path.name).used.touch()

    def evict(self, max_bytes: int, dry: bool = False) -> list[str]:
        """Remove versions and abandoned downloads, longest unused first, until the cache fits; return their paths.

        What a run holds or downloads stays, even if the cache does not fit then. Files that versions share count once.
        A `dry` eviction removes nothing and returns what would go now.
        """
        for trash in () if dry else self._root.glob("*/.cache/trash-*"):
            remove(trash)
        copies = sorted(self._copies(), key=lambda copy: copy.last_used)
        links = Counter(inode for copy in copies for inode in copy.sizes)
        total = sum({inode: size for copy in copies for inode, size in copy.sizes.items()}.values())
        evicted = []
        for copy in copies:
            if total > max_bytes and self._evict(copy, dry):
                evicted.append(self._workspace.subpath(copy.path))
                links.subtract(copy.sizes.keys())
                total -= sum(size for inode, size in copy.sizes.items() if links[inode] == 0)
        return evicted

    def _take(self, copy: _Copy, user: str) -> bool:
        with locked(self._guard):
            if not copy.path.is_dir():
                return False
            self._hold(copy.path, user)
            copy.used.touch()
        return True

    def _publish(self, copy: _Copy, user: str) -> None:
        # A umask must not keep the pods, which may run as another user, from reading.
        open_folders(copy.incoming, 0o755)
        with locked(self._guard):
            copy.incoming.rename(copy.path)
            self._hold(copy.path, user)
            copy.used.touch()
        for other in _copies_in(copy.bucket):
            if not other.path.exists():
                other.remove()

    def _hold(self, path: Path, model_id: str) -> None:
        self._holds.mkdir(parents=True, exist_ok=True)
        made = self._holds / f".{model_id}"
        made.write_text(path.relative_to(self._root).as_posix())
        made.replace(self._holds / model_id)

    def _copies(self) -> Iterator[_Copy]:
        for bucket in self._root.glob("*/.cache"):
            yield from _copies_in(bucket.parent)

    def _evict(self, copy: _Copy, dry: bool) -> bool:
        with locked_if_free(copy.lock) as free:
            if not free:
                return False
            with locked(self._guard):
                held = {self._root / hold.read_text() for hold in self._holds.glob("[!.]*")}
                if copy.path in held:
                    return False
                trash = [] if dry else copy.move_to_trash()
            for path in trash:
                remove(path)
            return True


def version_of(entries: Iterable[Entry]) -> str:
    """Return the name of a bucket's content: the same exactly if keys, sizes and etags are."""
    listing = sorted((entry.key, entry.size, entry.etag) for entry in entries)
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Copy:
    """Where one version of a bucket lies: `path` once it is whole, `incoming` before."""

    bucket: Path
    version: str

    @property
    def path(self) -> Path:
        return self.bucket / self.version

    @property
    def incoming(self) -> Path:
        return self._cache / f"{self.version}.incoming"

    @property
    def used(self) -> Path:
        return self._cache / f"{self.version}.used"

    @property
    def lock(self) -> Path:
        return self._cache / "lock"

    @property
    def journal(self) -> Journal:
        return Journal(self._journal)

    @property
    def last_used(self) -> float:
        with suppress(FileNotFoundError):
            return self.used.stat().st_mtime
        with suppress(FileNotFoundError):
            return self._journal.stat().st_mtime
        return time.time()

    @property
    def files(self) -> Path:
        return self.path if self.path.is_dir() else self.incoming

    @cached_property
    def sizes(self) -> dict[int, int]:
        """The size of every file by its inode."""
        found = (os.lstat(Path(root, name)) for root, _, names in os.walk(self.files) for name in names)
        return {status.st_ino: status.st_size for status in found}

    def move_to_trash(self) -> list[Path]:
        trash = []
        for path in (self.path, self.incoming, self.incoming.with_name(f"{self.incoming.name}.parts")):
            with suppress(FileNotFoundError):
                trash.append(path.rename(self._cache / f"trash-{uuid.uuid4().hex}"))
        self._journal.unlink(missing_ok=True)
        self.used.unlink(missing_ok=True)
        return trash

    def remove(self) -> None:
        for path in self.move_to_trash():
            remove(path)

    @property
    def _cache(self) -> Path:
        return self.bucket / ".cache"

    @property
    def _journal(self) -> Path:
        return self._cache / f"{self.version}.journal"


def _copies_in(bucket: Path) -> list[_Copy]:
    found = {path.name for path in bucket.glob("[!.]*")}
    found |= {path.name.partition(".")[0] for path in bucket.glob(".cache/*.incoming")}
    return [_Copy(bucket, version) for version in sorted(found)]


def _link_known(copy: _Copy, entries: Sequence[Entry]) -> int:
    """Link what another version of the bucket has the same, also one whose download broke off."""
    copy.incoming.mkdir(parents=True, exist_ok=True)
    journal, linked = copy.journal, 0
    missing = {entry.key: entry for entry in entries if not (copy.incoming / entry.key).exists()}
    for other in _copies_in(copy.bucket):
        if other == copy:
            continue
        for key, entry in other.journal.read().items():
            if missing.get(key) == entry and _link(other.files / key, copy.incoming / key, entry.size):
                journal.add(missing.pop(key))
                linked += 1
    return linked


def _link(source: Path, target: Path, size: int) -> bool:
    # A file system without hard links, or the most links a file may have: it is downloaded instead.
    with suppress(OSError):
        if source.lstat().st_size == size:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
            return True
    return False


def _dataset(copy: _Copy, entries: Sequence[Entry], downloaded: int = 0, hit: bool = True) -> Dataset:
    return Dataset(copy.path, copy.version, len(entries), sum(entry.size for entry in entries), downloaded, hit)
