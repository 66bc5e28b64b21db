"""Which runs are deleted and can still be brought back: a mark for each, `deleted/<model id>.json` at the records.

A run that is marked is shown to nobody who does not ask for deleted ones; all that it has stays until its time is over.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from trainyard.core.wholefiles import write_whole
from trainyard.domain.names import RunKey, is_model_id
from trainyard.workspace.locks import locked

log = logging.getLogger(__name__)
_SUFFIX = ".json"
_LOCK = ".lock"


@dataclass(frozen=True)
class Deletion:
    """That somebody deleted a run, `at` seconds since the epoch.

    `last` says that its training had no other run that was not deleted: the training counts as deleted with it, and
    its schedule and its search stand still.
    """

    model_id: str
    training_id: str
    by: str
    at: float
    last: bool = False

    @property
    def key(self) -> RunKey:
        return RunKey(self.training_id, self.model_id)


class Deletions:
    """The marks in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Deletion]:
        """Return all marks, the oldest first."""
        names = list[str]()
        with suppress(FileNotFoundError):
            names = [name for name in os.listdir(self._folder) if name.endswith(_SUFFIX) and name[0] != "."]
        found = filter(None, (self.get(name.removesuffix(_SUFFIX)) for name in names))
        return sorted(found, key=lambda mark: (mark.at, mark.model_id))

    def get(self, model_id: str) -> Deletion | None:
        """Return the mark of a run; None for one that is not deleted, or a mark that is broken, which is logged."""
        if not is_model_id(model_id):  # whoever asks may write anything
            return None
        path = str(self._path(model_id))
        try:
            return _read(path, os.stat(path).st_mtime_ns)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            log.error("the mark %s cannot be read and is passed over: %r", path, error)  # noqa: TRY400
            return None

    def of(self, run: RunKey) -> Deletion | None:
        """Return the mark of this very run: another training's may have the same model id."""
        found = self.get(run.model_id)
        return found if found is not None and found.key == run else None

    def keys(self) -> set[RunKey]:
        """Return the runs that are deleted."""
        return {mark.key for mark in self.all()}

    def of_training(self, training_id: str) -> list[Deletion]:
        return [mark for mark in self.all() if mark.training_id == training_id]

    def trainings(self) -> set[str]:
        """Return the trainings that are deleted with their last run."""
        return {mark.training_id for mark in self.all() if mark.last}

    def keep(self, mark: Deletion) -> None:
        """Mark a run; from here on it is deleted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(mark.model_id), json.dumps(asdict(mark), sort_keys=True))

    def remove(self, model_id: str) -> None:
        """Take a mark away; none is fine."""
        if is_model_id(model_id):
            self._path(model_id).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold all marks, so that no run is brought back while it is removed. A holder's death frees them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / _LOCK):
            yield

    def _path(self, model_id: str) -> Path:
        return self._folder / f"{model_id}{_SUFFIX}"


@lru_cache(maxsize=20_000)
def _read(path: str, changed_at: int) -> Deletion:  # noqa: ARG001 - a mark that is written again is another one
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    return Deletion(**{key: value for key, value in data.items() if key in Deletion.__dataclass_fields__})
