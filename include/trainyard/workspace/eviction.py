"""Making room in the dataset cache: the longest unused goes first, and nothing that is in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainyard.stores.tree import remove
from trainyard.workspace.copies import Copy
from trainyard.workspace.holds import Holds
from trainyard.workspace.locks import locked, locked_if_free


@dataclass(frozen=True)
class Evicted:
    """A version that went: whose it was, and where it lay."""

    place: str
    version: str
    path: Path


class Eviction:
    """One look at all versions, and removing of them what nobody uses; `total` is in bytes, shared files once.

    `beside` is a version that is being filled under its bucket's lock: it stays. A `dry` one removes nothing.
    """

    def __init__(
        self, copies: Iterable[Copy], guard: Path, holds: Holds, dry: bool = False, beside: Copy | None = None
    ) -> None:
        self._copies = sorted(copies, key=lambda copy: copy.last_used)
        self._guard, self._holds, self._dry, self._beside = guard, holds, dry, beside
        self._links = Counter(inode for copy in self._copies for inode in copy.sizes)
        self.total = sum({inode: size for copy in self._copies for inode, size in copy.sizes.items()}.values())

    def free(self, size: int) -> Iterator[Evicted]:
        """Remove versions and abandoned downloads until so many bytes are free, or nothing more can go; yield them."""
        self._sweep()
        for copy in self._copies:
            if size <= 0:
                return
            gone = Evicted(copy.counts().place, copy.version, copy.path)
            if copy != self._beside and self._evict(copy):
                self._links.subtract(copy.sizes.keys())
                size -= sum(freed for inode, freed in copy.sizes.items() if self._links[inode] == 0)
                yield gone

    def _sweep(self) -> None:
        """Remove what an eviction that was killed has left; it is out of every version's reach."""
        for bucket in {copy.bucket for copy in self._copies} if not self._dry else ():
            for trash in bucket.glob(".cache/trash-*"):
                remove(trash)

    def _evict(self, copy: Copy) -> bool:
        if self._beside is not None and copy.bucket == self._beside.bucket:
            return self._remove(copy)
        with locked_if_free(copy.lock) as free:
            return free and self._remove(copy)

    def _remove(self, copy: Copy) -> bool:
        with locked(self._guard):
            if copy.path in self._holds.all():
                return False
            trash = [] if self._dry else copy.move_to_trash()
        for path in trash:
            remove(path)
        return True
