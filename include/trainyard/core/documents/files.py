"""The stored documents in a folder of the catalogue's: `<kind>/<id>.json`, and a definition's zip beside its record.

A document is there the moment its record appears; the rest is written before it. Records never change. What a document
says is in `<id>.details`, so that a list of all of them reads little of each. The records of an
experiment's runs are in a folder of that experiment, so that they are found and go with it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainyard.domain.documents import is_document_id
from trainyard.workspace.locks import locked

log = logging.getLogger(__name__)
_FOLDER = "documents"
_DETAILS, _DETAILS_SUFFIX = ("content", "text", "warnings"), ".details"


class Kind(StrEnum):
    """What is stored; the values are the words of REST and of the folders."""

    DEFINITION = "training_definitions"
    EXPERIMENT = "experiments"
    RUN = "experiment_runs"

    @property
    def spoken(self) -> str:
        return self.value.replace("_", " ").removesuffix("s")


@dataclass(frozen=True)
class Stored:
    """One stored document; `text` is masked YAML for people, `content` what it says, as data without credentials.

    A list has neither of them.

    `created_at` is in seconds since the epoch. `parent` is the experiment of an experiment's run. `version_id` and
    `zip_sha256` are a definition's.
    """

    id: str
    kind: Kind
    account: str
    owner: str
    created_at: float
    name: str
    content: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    warnings: tuple[str, ...] = ()
    version_id: str = ""
    zip_sha256: str = ""
    parent: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stored:
        """Read a record back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "kind": Kind(data["kind"]), "warnings": tuple(data.get("warnings", ()))})


class DocumentFiles:
    """The records and zips; `catalogue` is the catalogue's folder."""

    def __init__(self, catalogue: Path) -> None:
        # A folder of its own: the bundle looks at the other one whenever that changes.
        self.folder = catalogue / _FOLDER

    def zip_path(self, definition_id: str) -> Path:
        return self.folder / Kind.DEFINITION / f"{definition_id}.zip"

    def keep_zip(self, definition_id: str, source: Path) -> None:
        """Keep the zip of a definition that is about to be added."""
        target = self.zip_path(definition_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, _aside(target))
        _aside(target).replace(target)

    def prepare(self, document: Stored) -> None:
        """Write a document's record, which nobody sees yet: what can fail has failed by then."""
        path, data = self._path(document.kind, document.id, document.parent), asdict(document)
        path.parent.mkdir(parents=True, exist_ok=True)
        details = {name: data.pop(name) for name in _DETAILS}
        _aside(path).write_text(_text(data), encoding="utf-8")
        _aside(_details(path)).write_text(_text(details), encoding="utf-8")

    def add(self, document: Stored) -> None:
        """Make a prepared document known to everybody who looks."""
        path = self._path(document.kind, document.id, document.parent)
        for each in (_details(path), path):
            _aside(each).replace(each)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the documents; whoever else wants to store one waits. A holder's death frees them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock"):
            yield

    def get(self, kind: Kind, document_id: str, parent: str = "") -> Stored | None:
        """Return a document; None if it is not there or its record is broken, which is logged."""
        wanted = [document_id, *([parent] if parent or kind is Kind.RUN else [])]
        if not all(map(is_document_id, wanted)):  # whoever asks may write anything, also the path of another file
            return None
        path = self._path(kind, document_id, parent)
        found, details = _read(path), _loaded(_details(path))
        return replace(found, **{**details, "warnings": tuple(details["warnings"])}) if found and details else None

    def all(self, kind: Kind, parent: str = "") -> list[Stored]:
        """Return all documents of a kind without what they say, of runs those of one experiment, the oldest first."""
        paths = (path for path in _entries(self._folder(kind, parent)) if path.suffix == ".json")
        found = filter(None, map(_read, paths))
        return sorted(found, key=lambda document: (document.created_at, document.id))

    def ids(self, kind: Kind) -> set[str]:
        """Return the ids of all documents of a kind, also of one whose record is broken."""
        return {path.stem for path in _entries(self.folder / kind) if path.suffix == ".json" and path.name[0] != "."}

    def remove(self, document: Stored) -> None:
        """Remove a document: first its record, then what belongs to it."""
        path = self._path(document.kind, document.id, document.parent)
        zips = [self.zip_path(document.id)] if document.kind is Kind.DEFINITION else []
        for each in (path, _details(path), *zips):
            each.unlink(missing_ok=True)
            _aside(each).unlink(missing_ok=True)
        if document.kind is Kind.EXPERIMENT:
            shutil.rmtree(self._folder(Kind.RUN, document.id), ignore_errors=True)

    def unfinished(self) -> dict[Path, float]:
        """Return what is being stored just now, or was when somebody died: half a record or zip, and its last change.

        Moments are in seconds since the epoch.
        """
        folders = [self.folder / kind for kind in Kind]
        folders += [path for path in _entries(self.folder / Kind.RUN) if path.is_dir()]
        files = [path for folder in folders for path in _entries(folder) if path.is_file()]
        return {path: _changed(path) for path in files if path.name[0] == "." or self._is_alone(path)}

    def _is_alone(self, path: Path) -> bool:
        """Say whether a file has no record that it belongs to."""
        return path.suffix in (".zip", _DETAILS_SUFFIX) and not path.with_suffix(".json").exists()

    def _folder(self, kind: Kind, parent: str) -> Path:
        return self.folder / kind / parent if parent else self.folder / kind

    def _path(self, kind: Kind, document_id: str, parent: str) -> Path:
        return self._folder(kind, parent) / f"{document_id}.json"


def _entries(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from (folder / name for name in sorted(os.listdir(folder)))


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # it was finished this very moment
        return float("inf")


def _details(path: Path) -> Path:
    return path.with_suffix(_DETAILS_SUFFIX)


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True)


def _read(path: Path) -> Stored | None:
    data = _loaded(path) if path.name[0] != "." else None
    try:
        return Stored.from_dict(data) if data else None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        log.error("the record %s cannot be read and is passed over: %r", path, error)  # noqa: TRY400
        return None


def _loaded(path: Path) -> dict[str, Any] | None:
    """Read a file of JSON; None if it is not there or broken, which is logged: one must not take all others with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.error("the record %s cannot be read and is passed over: %r", path, error)  # noqa: TRY400
        return None
    return data if isinstance(data, dict) else None
