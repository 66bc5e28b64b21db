"""One version of a bucket in the dataset cache: where it lies, what is known of it, and sharing files with others."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from trainyard.stores.base import Entry
from trainyard.stores.moving.journal import Journal
from trainyard.stores.tree import remove


@dataclass(frozen=True)
class Counts:
    """What is known of a version without a look at its files; `hits` are the runs that found it in the cache."""

    place: str = ""
    files: int = 0
    bytes: int = 0
    hits: int = 0


@dataclass(frozen=True)
class Copy:
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
        """Holds the counts, and was last written when the version was last used."""
        return self._cache / f"{self.version}.used"

    @property
    def lock(self) -> Path:
        return self._cache / "lock"

    @property
    def journal(self) -> Journal:
        return Journal(self._journal)

    @property
    def last_used(self) -> float:
        for path in (self.used, self._journal):
            with suppress(FileNotFoundError):
                return path.stat().st_mtime
        return time.time()

    @property
    def files(self) -> Path:
        return self.path if self.path.is_dir() else self.incoming

    @cached_property
    def sizes(self) -> dict[int, int]:
        """The size of every file by its inode."""
        return {status.st_ino: status.st_size for status in _statuses(self.files)} | self._sizes_in_parts

    @property
    def bytes_in_parts(self) -> int:
        """What has arrived of files that are not whole."""
        return sum(self._sizes_in_parts.values())

    def has(self, entry: Entry) -> bool:
        """Say whether a file is there in its size."""
        with suppress(OSError):
            return (self.files / entry.key).lstat().st_size == entry.size
        return False

    def is_whole(self, entries: Iterable[Entry]) -> bool:
        """Say whether the version is there.

        A machine that lost its power may have lost the content of files, too: of a version that was not used since
        this one started, every file is looked at.
        """
        return self.path.is_dir() and (self.last_used > _started() or all(self.has(entry) for entry in entries))

    def counts(self) -> Counts:
        """Read the counts; a version whose counts were lost is counted from its journal."""
        with suppress(FileNotFoundError, ValueError, TypeError):
            return Counts(**json.loads(self.used.read_text(encoding="utf-8")))
        known = self.journal.read().values()
        return Counts(self.bucket.name, len(known), sum(entry.size for entry in known))

    def count(self, counts: Counts) -> None:
        """Write the counts, and that the version is used now."""
        made = self.used.with_name(f"{self.used.name}.part")
        made.write_text(json.dumps(asdict(counts)), encoding="utf-8")
        made.replace(self.used)

    def move_to_trash(self) -> list[Path]:
        """Take it out of the cache at once; return what is to be removed now."""
        trash = []
        for path in (self.path, self.incoming, self._parts):
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
    def _parts(self) -> Path:
        return self.incoming.with_name(f"{self.incoming.name}.parts")

    @property
    def _sizes_in_parts(self) -> dict[int, int]:
        # Such a file has its final size from the start, and room on the disk as it fills.
        return {status.st_ino: status.st_blocks * 512 for status in _statuses(self._parts)}

    @property
    def _journal(self) -> Path:
        return self._cache / f"{self.version}.journal"


def copies_in(bucket: Path) -> list[Copy]:
    """Return the versions of a bucket, also those whose download broke off."""
    found = {path.name for path in bucket.glob("[!.]*")}
    found |= {path.name.partition(".")[0] for path in bucket.glob(".cache/*.incoming")}
    return [Copy(bucket, version) for version in sorted(found)]


def link_known(copy: Copy, entries: Sequence[Entry]) -> int:
    """Link what another version of the bucket has the same, also one whose download broke off; say how many files."""
    copy.incoming.mkdir(parents=True, exist_ok=True)
    journal, linked = copy.journal, 0
    missing = {entry.key: entry for entry in entries if not (copy.incoming / entry.key).exists()}
    for other in copies_in(copy.bucket):
        if other == copy:
            continue
        for key, entry in other.journal.read().items():
            if missing.get(key) == entry and _link(other.files / key, copy.incoming / key, entry.size):
                journal.add(missing.pop(key))
                linked += 1
    return linked


def _started() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.time() - time.clock_gettime(clock)


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # somebody evicts it just now
                yield os.lstat(Path(root, name))


def _link(source: Path, target: Path, size: int) -> bool:
    # A file system without hard links, or the most links a file may have: it is downloaded instead.
    with suppress(OSError):
        if source.lstat().st_size == size:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
            return True
    return False
