"""What lies in the inbox: a listing becomes drops, and each drop says what it lacks and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from trainyard.errors import Problem
from trainyard.stores.base import Entry, StoreError, check_key

INBOX = "inbox/"
_MANIFESTS = (".yml", ".yaml", ".json")
_ZIP = ".zip"
# How upload tools name what they have not finished; they rename it at the end.
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".swp", "~")
# What file managers leave in every folder that they have shown.
_CLUTTER = (".ds_store", "thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Drop:
    """One folder `inbox/<account>/<name>/`. Files that lie in no folder of their own are one drop without a name."""

    account: str
    name: str
    entries: tuple[Entry, ...]

    @property
    def place(self) -> str:
        return INBOX + "".join(f"{part}/" for part in (self.account, self.name) if part)

    @cached_property
    def fingerprint(self) -> str:
        """Change with any file's name, size or content, as far as a listing says."""
        seen = "\n".join(f"{entry.key}\0{entry.size}\0{entry.etag}" for entry in self.entries)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]

    @property
    def manifest(self) -> Entry | None:
        return next(iter(self._ending(_MANIFESTS)), None)

    @property
    def archive(self) -> Entry | None:
        return next(iter(self._ending((_ZIP,))), None)

    def inside(self, entry: Entry) -> str:
        """Return the path of a file inside the drop."""
        return entry.key.removeprefix(self.place)

    @property
    def missing(self) -> tuple[Problem, ...]:
        """What may still be on its way; nothing of it is wrong yet."""
        return tuple(self._missing())

    @property
    def arriving(self) -> bool:
        """Say whether a file is still being written, by its name or for want of content."""
        return any(_unfinished(entry) or entry.size == 0 for entry in self._files)

    @property
    def faults(self) -> tuple[Problem, ...]:
        """What no waiting will fix."""
        return tuple(self._faults())

    def _missing(self) -> Iterator[Problem]:
        for entry in self._files:
            if _unfinished(entry):
                yield Problem("its upload has not ended.", "Upload it again.", self.inside(entry), code="C102")
            elif entry.size == 0:
                yield Problem("it is empty.", "Upload it again.", self.inside(entry), code="C102")
        if not self.manifest:
            yield Problem("there is no manifest.", "Put one file ending in .yml, .yaml or .json beside the zip.")
        if not self.archive:
            hint = "Put one file ending in .zip beside the manifest."
            yield Problem("there is no zip with the program.", hint, code="C102")

    def _faults(self) -> Iterator[Problem]:
        if not self.name:
            yield Problem("the files lie in no folder of their own.", "Drop them into inbox/<account>/<any name>/.")
        for entry in self._others:
            hint = "One folder is one submission: one manifest and one zip, nothing else; the program is in the zip."
            yield Problem("it is neither the manifest nor the zip.", hint, self.inside(entry))
        for what, found in (("manifest", self._ending(_MANIFESTS)), ("zip", self._ending((_ZIP,)))):
            if len(found) > 1 and self.name:
                names = ", ".join(self.inside(entry) for entry in found)
                hint = "Drop each submission into a folder of its own."
                yield Problem(f"there is more than one {what}: {names}.", hint)

    @property
    def _files(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if not _clutter(entry))

    @property
    def _others(self) -> tuple[Entry, ...]:
        known = self._ending((*_MANIFESTS, _ZIP))
        return tuple(entry for entry in self._files if entry not in known and not _unfinished(entry))

    def _ending(self, endings: tuple[str, ...]) -> tuple[Entry, ...]:
        """Return the files directly in the drop's folder that end so."""
        return tuple(
            entry
            for entry in self._files
            if entry.key.lower().endswith(endings) and "/" not in self.inside(entry) and not _unfinished(entry)
        )


def drops_of(entries: Iterable[Entry]) -> list[Drop]:
    """Group the listing of `inbox/` into drops, in order of account and name.

    A key that could not be a file anywhere cannot be moved either; it is passed over.
    """
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if _movable(entry.key):
            *folders, _ = entry.key.removeprefix(INBOX).split("/")
            account, name = (*folders, "", "")[:2]
            found.setdefault((account, name), []).append(entry)
    return [Drop(*place, tuple(sorted(files, key=lambda entry: entry.key))) for place, files in sorted(found.items())]


def _movable(key: str) -> bool:
    try:
        check_key(key)
    except StoreError:
        return False
    return True


def _last_name(entry: Entry) -> str:
    return entry.key.rpartition("/")[2].lower()


def _unfinished(entry: Entry) -> bool:
    name = _last_name(entry)
    return not _clutter(entry) and (name.startswith(".") or name.endswith(UNFINISHED))


def _clutter(entry: Entry) -> bool:
    name = _last_name(entry)
    return name in _CLUTTER or name.startswith("._")
