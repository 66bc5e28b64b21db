"""The runs that the service was asked to start beside a training's first: `starts/<model id>.json` at the records.

A start is written once, before Airflow has its run, and lies in `starts/pending/` until Airflow has it. What a run's
pods run and who owns it is read from there, and never from what Airflow lets its users write.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from trainyard.core.wholefiles import write_whole
from trainyard.domain.hyperparameters import Value
from trainyard.domain.names import RunKey, is_model_id
from trainyard.workspace.locks import locked

log = logging.getLogger(__name__)
_SUFFIX = ".json"
_LOCK = ".lock"


class Kind(StrEnum):
    """Why a training has one more run: somebody asked for it, a search tries a point, it is one of a grid, or due."""

    RERUN = "rerun"
    TRIAL = "trial"
    POINT = "point"
    SCHEDULED = "scheduled"


@dataclass(frozen=True)
class Start:
    """One more run of a training. `started_at` is in seconds since the epoch.

    `values` are what it has in the place of its manifest's, `parent` is the run that it repeats, `trial` its number in
    a search and `origin` the idempotency key that it was asked for with. With a `data_version` it trains on that and
    nothing else, with an `image` in the place of its training's; to `resume` it goes on from the parent's newest
    complete checkpoint. `name` is the run's own, empty where it is called as its training is.
    """

    model_id: str
    training_id: str
    owner: str
    started_at: float
    values: Mapping[str, Value] = field(default_factory=dict)
    kind: str = Kind.RERUN
    parent: str = ""
    trial: int | None = None
    origin: str = ""
    data_version: str = ""
    resume: bool = False
    image: str = ""
    name: str = ""

    @property
    def key(self) -> RunKey:
        return RunKey(self.training_id, self.model_id)

    def asks_as(self, other: Start) -> bool:
        """Say whether another start is the same run, whoever asked for it and when."""
        return self._wish == other._wish

    @property
    def _wish(self) -> tuple[Any, ...]:
        kept = (self.training_id, self.kind, self.parent, self.trial, self.data_version, self.image, self.resume)
        return (*kept, self.name, dict(self.values))


class Starts:
    """The starts in one folder. They never change, so that a reader may keep what it has read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending = folder / "pending"
        # Marks the starts that have a name, so that a look for names does not read all others.
        self._named = folder / "named"

    def add(self, start: Start) -> Start:
        """Keep a start as pending; return the one of this id that is there already, else this one."""
        self._pending.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / _LOCK):
            known = self.get(start.model_id)
            if known is None:
                self._write(self._pending, start)
            return known or start

    def register(self, first: Start, *others: Start) -> None:
        """Keep the runs that a training has from the beginning; `first` is made by Airflow itself.

        They count from the moment that the training's record is there.
        """
        self._pending.mkdir(parents=True, exist_ok=True)
        self._write(self._folder, first)
        for start in others:
            self._write(self._pending, start)

    def get(self, model_id: str) -> Start | None:
        """Return a start; None where nobody asked for such a run, or what was written is broken, which is logged."""
        if not is_model_id(model_id):  # whoever asks may write anything
            return None
        # Pending ones first: one that moves meanwhile is found in the other place.
        return self._read(self._pending, model_id) or self._read(self._folder, model_id)

    def left(self, model_id: str) -> Start | None:
        """Return a start that Airflow may not have yet; None for any other."""
        return self._read(self._pending, model_id) if is_model_id(model_id) else None

    def pending(self) -> dict[str, float]:
        """Return id -> when it was asked for, of the runs that Airflow may not have yet."""
        return _written(self._pending)

    def all(self) -> dict[str, float]:
        """Return id -> when it was asked for (seconds since the epoch), of all starts, pending ones too."""
        return _written(self._folder) | self.pending()

    def of_training(self, training_id: str) -> list[Start]:
        """Return all starts of a training, in no order."""
        return [start for start in map(self.get, self.all()) if start and start.training_id == training_id]

    def pending_of(self, training_id: str) -> list[Start]:
        """Return a training's starts that Airflow may not have yet."""
        return [start for start in map(self.get, self.pending()) if start and start.training_id == training_id]

    def named(self) -> dict[RunKey, str]:
        """Return the runs that have a name of their own, with it."""
        try:
            marked = os.listdir(self._named)
        except FileNotFoundError:
            return {}
        return {start.key: start.name for start in map(self.get, marked) if start and start.name}

    def settle(self, model_id: str) -> None:
        """Note that Airflow has the run: nothing makes it again, also where somebody deletes it there."""
        try:
            self._path(self._pending, model_id).rename(self._path(self._folder, model_id))
        except FileNotFoundError:  # somebody else was quicker
            return

    def remove(self, model_id: str) -> None:
        for folder in (self._pending, self._folder):
            self._path(folder, model_id).unlink(missing_ok=True)
        (self._named / model_id).unlink(missing_ok=True)

    def _write(self, folder: Path, start: Start) -> None:
        if start.name:
            self._named.mkdir(parents=True, exist_ok=True)
            (self._named / start.model_id).touch()
        text = json.dumps(asdict(start), ensure_ascii=False, sort_keys=True)
        write_whole(self._path(folder, start.model_id), text)

    def _read(self, folder: Path, model_id: str) -> Start | None:
        path = f"{folder}/{model_id}{_SUFFIX}"
        try:
            return _start(path, os.stat(path).st_mtime_ns)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError) as error:
            log.error("the start %s cannot be read and is passed over: %r", path, error)  # noqa: TRY400
            return None

    @staticmethod
    def _path(folder: Path, model_id: str) -> Path:
        return folder / f"{model_id}{_SUFFIX}"


def _written(folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return found
    with entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIX) and entry.name[0] != ".":
                try:
                    found[entry.name.removesuffix(_SUFFIX)] = entry.stat().st_mtime
                except FileNotFoundError:
                    continue
    return found


@lru_cache(maxsize=20_000)
def _start(path: str, changed_at: int) -> Start:  # noqa: ARG001 - another file of the same name is another start
    with open(path, encoding="utf-8") as file:
        data: dict[str, Any] = json.load(file)
    return Start(**{key: value for key, value in data.items() if key in Start.__dataclass_fields__})
