"""The schedules of trainings, and how far each has come: `<training id>.schedule` beside the record.

A schedule lives from its training's registration until it is ended or over. What is due is dealt with while the one
lock of all schedules is held, so that two services settle the same moment once.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainyard.core.wholefiles import write_whole
from trainyard.domain.names import is_model_id
from trainyard.domain.schedule import Progress, Schedule
from trainyard.workspace.locks import locked

_SUFFIX = ".schedule"
_LOCK = ".schedules.lock"


@dataclass(frozen=True)
class Entry:
    """The schedule of one training; `note` says why what was due last started nothing."""

    training_id: str
    schedule: Schedule
    progress: Progress
    note: str = ""

    def lives(self, now: float) -> bool:
        """Say whether it may still start a run, now or when it is resumed."""
        over = self.progress.waiting is None and self.schedule.next_after(now) is None
        return not self.progress.ended and not over

    def is_due(self, now: float) -> bool:
        return self.progress.is_due(self.schedule, now)

    def next_time(self, now: float) -> float | None:
        return self.progress.next_time(self.schedule, now)

    def with_progress(self, progress: Progress, note: str = "") -> Entry:
        return replace(self, progress=progress, note=note)


class Schedules:
    """The schedules in the catalogue's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> set[str]:
        """Return the trainings that have a schedule, from the folder's listing alone."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as found:
            names = {entry.name for entry in found}
            return {name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX) and name[0] != "."}
        return set()

    def get(self, training_id: str) -> Entry | None:
        if not is_model_id(training_id):  # whoever asks may write anything, also what no file can be named
            return None
        with contextlib.suppress(FileNotFoundError):
            return _read(training_id, json.loads(self._path(training_id).read_text(encoding="utf-8")))
        return None

    def all(self) -> list[Entry]:
        """Return every schedule, ended ones too, in the order of their trainings' ids."""
        return [entry for entry in map(self.get, sorted(self.ids())) if entry]

    def lives(self, training_id: str, now: float) -> bool:
        """Say whether a training has a schedule that may still start a run."""
        entry = self.get(training_id)
        return entry is not None and entry.lives(now)

    def keep(self, entry: Entry) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        data: dict[str, Any] = {
            "schedule": entry.schedule.as_dict(),
            "progress": asdict(entry.progress),
            "note": entry.note,
        }
        write_whole(self._path(entry.training_id), json.dumps(data, sort_keys=True))

    def remove(self, training_id: str) -> None:
        self._path(training_id).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold all schedules; whoever else wants to change one waits. A holder's death frees them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / _LOCK):
            yield

    def _path(self, training_id: str) -> Path:
        return self._folder / f"{training_id}{_SUFFIX}"


def _read(training_id: str, data: dict[str, Any]) -> Entry:
    known = {key: value for key, value in data["progress"].items() if key in Progress.__dataclass_fields__}
    return Entry(training_id, Schedule.from_dict(data["schedule"]), Progress(**known), data.get("note", ""))
