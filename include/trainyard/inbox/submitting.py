"""One drop's way from the inbox to accepted/ or refused/: read, submit, copy, verify, and only then delete.

Each step may be the last of its process. The next pass begins again and ends the same: the front door knows the key of
a drop that it has taken, copies land on themselves, and what may be deleted stands in a mark that is written after the
copies were verified.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from trainyard.answers.runs import Submitted
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.inbox.copying import copy, fetch, put_file
from trainyard.inbox.door import FrontDoor
from trainyard.inbox.drops import Drop
from trainyard.inbox.marks import Kind, Mark, delete_moved, mark_of, moved_text, read_marks
from trainyard.inbox.reasons import reasons_text
from trainyard.manifest.zipend import archive_kind, directory_size
from trainyard.stores.base import Store

ACCEPTED, REFUSED, REASONS = "accepted/", "refused/", "reasons.txt"
# A key's part may have 255 bytes, and the time is put behind the name.
_MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class DropResult:
    """What became of one drop: `accepted` (as that model id), `refused` (to that place), `waits` or `changed`."""

    place: str
    what: str
    where: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.place, self.what, self.where) if part)


@dataclass(frozen=True)
class DropSubmitter:
    """Submits drops. `patience` is how many seconds a half-written drop is waited for."""

    store: Store
    door: FrontDoor
    patience: float
    now: Callable[[], float] = time.time

    def needed(self, drop: Drop, marks: Iterable[Mark]) -> bool:
        """Say whether there is anything to do: not for a half-written drop that is known and not too old."""
        mark = mark_of(marks, Kind.WAITING, drop)
        return mark is None or self._overdue(mark)

    def submit(self, drop: Drop, marks: Iterable[Mark]) -> DropResult:
        """Bring a drop to where it belongs. Raise TrainyardError for what is not the drop's fault; it stays then."""
        waiting = mark_of(marks, Kind.WAITING, drop)
        overdue = waiting is not None and self._overdue(waiting)
        if (drop.faults and not drop.arriving) or (overdue and (drop.faults or drop.missing)):
            return self._refuse(drop, (*drop.faults, *drop.missing))
        if drop.missing:
            return self._wait(drop, waiting)
        with tempfile.TemporaryDirectory(prefix="trainyard-inbox-") as folder:
            manifest, archive = self._fetched(drop, Path(folder))
            if not (manifest and archive):
                return DropResult(drop.place, "changed")
            if not overdue and _cut_off(archive):
                return self._wait(drop, waiting)
            return self._submit(drop, manifest, archive)

    def _overdue(self, mark: Mark) -> bool:
        return self.now() - mark.time >= self.patience

    def _wait(self, drop: Drop, mark: Mark | None) -> DropResult:
        if mark is None:
            Mark.of(Kind.WAITING, drop, self.now()).write(self.store, "This folder is not complete yet.\n")
        return DropResult(drop.place, "waits")

    def _fetched(self, drop: Drop, folder: Path) -> tuple[Path | None, Path | None]:
        assert drop.manifest
        assert drop.archive
        return (
            fetch(self.store, drop.manifest, folder / "manifest"),
            fetch(self.store, drop.archive, folder / "archive"),
        )

    def _submit(self, drop: Drop, manifest: Path, archive: Path) -> DropResult:
        try:
            answer = self.door.submit(drop.account, manifest, archive, drop_key(drop, manifest, archive))
        except TrainyardError as error:
            if error.fault is not Fault.CLIENT:
                raise
            return self._refuse(drop, _problems(error, drop))
        return self._accept(drop, answer, archive)

    def _accept(self, drop: Drop, answer: Submitted, archive: Path) -> DropResult:
        assert drop.manifest
        assert drop.archive
        target = f"{ACCEPTED}{drop.account}/{answer.model_id}/"
        masked = archive.with_name("masked")
        masked.write_text(answer.manifest, encoding="utf-8")
        stem = drop.inside(drop.manifest).rpartition(".")[0]
        put_file(self.store, masked, f"{target}{stem}.yml")
        put_file(self.store, archive, target + drop.inside(drop.archive))
        self._leave(drop)
        return DropResult(drop.place, "accepted", answer.model_id)

    def _refuse(self, drop: Drop, problems: Iterable[Problem]) -> DropResult:
        target = refused_place(drop, self._refusing(drop).time)
        names = {drop.inside(entry) for entry in drop.entries}
        with tempfile.TemporaryDirectory(prefix="trainyard-inbox-") as folder:
            for entry in drop.entries:
                if not copy(self.store, entry, target + drop.inside(entry), Path(folder, "file")):
                    return DropResult(drop.place, "changed")
            reasons = Path(folder, REASONS)
            reasons.write_text(reasons_text(drop, problems), encoding="utf-8")
            put_file(self.store, reasons, target + (f"trainyard-{REASONS}" if REASONS in names else REASONS))
        self._leave(drop)
        return DropResult(drop.place, "refused", target)

    def _refusing(self, drop: Drop) -> Mark:
        """Settle where a refused drop goes before anything is copied, so that the next pass goes there too.

        Two at once both write a mark and both take the earlier one.
        """
        mine = Mark.of(Kind.REFUSING, drop, self.now())
        found = mark_of(read_marks(self.store), Kind.REFUSING, drop)
        if found:
            return found
        mine.write(self.store, "This folder is being refused.\n")
        return mark_of(read_marks(self.store), Kind.REFUSING, drop) or mine

    def _leave(self, drop: Drop) -> None:
        mark = Mark.of(Kind.MOVED, drop, self.now())
        mark.write(self.store, moved_text(drop.entries))
        delete_moved(self.store, mark)


def drop_key(drop: Drop, manifest: Path, archive: Path) -> str:
    """Return what makes a drop the same one: its place and the content of its two files."""
    parts = [drop.place, *(_sha256(path) for path in (manifest, archive))]
    return "drop-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()


def refused_place(drop: Drop, moment: int) -> str:
    name = (drop.name or "loose-files").encode()[:_MAX_NAME_LENGTH].decode(errors="ignore")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    return f"{REFUSED}{drop.account or 'no-account'}/{name}-{stamp}/"


def _problems(error: TrainyardError, drop: Drop) -> tuple[Problem, ...]:
    if error.code.code == "C106":
        # The front door speaks to whoever calls it; here that is a service user, who says nothing to the dropper.
        hint = f"Drop it into inbox/<account>/{drop.name}/ of an account that there is."
        return (Problem(f"there is no account {drop.account}.", hint, code="C106"),)
    return error.problems or (Problem(error.message, error.hint, code=error.code.code),)


def _cut_off(archive: Path) -> bool:
    """Say whether a zip has its beginning and not its end, as one that is still being copied."""
    with archive.open("rb") as file:
        return archive_kind(file.read(512)) == "zip" and directory_size(file) is None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
