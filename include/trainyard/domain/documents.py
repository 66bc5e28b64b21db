"""The documents of 2018 as values: training definitions, and experiments that run them. Neither holds a credential."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainyard.domain.hyperparameters import Value
from trainyard.domain.training import Author, Framework, StoreRef

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Addresses of the original go on behind the id with the version, or with what of the definition is meant.
_IN_ADDRESS = re.compile(rf"/(?:v3|v4)/(?:ml_assets/)?training_definitions/({_ID.pattern})(?:[/?#].*)?$", re.IGNORECASE)


def new_document_id() -> str:
    return str(uuid.uuid4())


def is_document_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def definition_id_of(address: str) -> str | None:
    """Return the id of the training definition that an address ends with, or that it is; None where there is none."""
    text = address.strip()
    found = _IN_ADDRESS.search(text)
    known = (found[1] if found else text).lower()
    return known if is_document_id(known) else None


@dataclass(frozen=True)
class Compute:
    """The size of a machine by its name, and how many of them."""

    name: str
    nodes: int = 1


@dataclass(frozen=True)
class Definition:
    """A program with its framework. What is empty the experiment has to say: command, size, data."""

    name: str
    framework: Framework
    description: str = ""
    author: Author | None = None
    command: str = ""
    compute: Compute | None = None
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    data: StoreRef | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Definition:
        """Read a definition back; keys this version does not know are dropped."""
        parts = {
            "framework": _read(Framework, data["framework"]),
            "author": _read(Author, data.get("author")),
            "compute": _read(Compute, data.get("compute")),
            "data": _read(StoreRef, data.get("data")),
        }
        made: Definition = _read(cls, {**data, **parts})
        return made


@dataclass(frozen=True)
class Reference:
    """One training of an experiment: a stored definition, with what is to be otherwise than there.

    `search` is the search for its hyperparameters as a manifest has it, empty where it is run once.
    """

    name: str
    definition_id: str
    command: str = ""
    compute: Compute | None = None
    search: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        made: Reference = _read(cls, {**data, "compute": _read(Compute, data.get("compute"))})
        return made


@dataclass(frozen=True)
class Experiment:
    """Trainings that share a results bucket; `data` stands in the place of their definitions' own."""

    name: str
    references: tuple[Reference, ...]
    results: StoreRef
    description: str = ""
    author: Author | None = None
    data: StoreRef | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "references": [asdict(reference) for reference in self.references]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Experiment:
        """Read an experiment back; keys this version does not know are dropped."""
        parts = {
            "references": tuple(map(Reference.from_dict, data["references"])),
            "results": _read(StoreRef, data["results"]),
            "author": _read(Author, data.get("author")),
            "data": _read(StoreRef, data.get("data")),
        }
        made: Experiment = _read(cls, {**data, **parts})
        return made


def _read(made: Any, data: Mapping[str, Any] | None) -> Any:
    if data is None:
        return None
    return made(**{key: value for key, value in data.items() if key in made.__dataclass_fields__})
