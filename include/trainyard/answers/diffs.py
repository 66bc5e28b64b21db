"""What differs between two runs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainyard.answers.base import Whole


class ChangedValue(Whole):
    """A value that the runs do not share; null where a run does not have it."""

    name: str
    first: Any = None
    second: Any = None


class FileVersion(Whole):
    """A file of a zip: its size in bytes and its SHA-256, empty where it took too long to find."""

    size: int
    sha256: str = ""


class ChangedFile(Whole):
    """A file of the program that is `new` in the second run, `gone` or `changed`.

    `lines` are a unified diff; of what is no text or too long `first` and `second` say what it is.
    """

    name: str
    what: str
    lines: list[str] = Field(default_factory=list)
    first: FileVersion | None = None
    second: FileVersion | None = None


class RunsDiff(Whole):
    """What differs between two runs, and nothing else; `same` where nothing does.

    `manifest` is a unified diff of the manifests as the runs had them, `files` null where a program is not kept any
    more; `origin` is what the runs were made of, `metrics` are final values.
    """

    first: str
    second: str
    same: bool
    hyperparameters: list[ChangedValue] = Field(default_factory=list)
    manifest: list[str] = Field(default_factory=list)
    files: list[ChangedFile] | None = None
    origin: list[ChangedValue] = Field(default_factory=list)
    outcome: list[ChangedValue] = Field(default_factory=list)
    metrics: list[ChangedValue] = Field(default_factory=list)
