"""Where a problem of a submission lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trainyard.errors import Problem, TrainyardError


@dataclass(frozen=True)
class Files:
    """The two files of a submission, as the person named them."""

    manifest: str
    zip: str = ""

    def of(self, problem: Problem) -> str:
        """Name the file that a problem is about; empty where that is not known.

        Where several manifests were submitted, the service names them.
        """
        if problem.code == "C102":
            return self.zip
        if problem.file:
            return problem.file
        in_manifest = problem.line is not None or problem.code in ("C101", "C103", "C104")
        return self.manifest if in_manifest else ""


class RefusedError(TrainyardError):
    """A submission with problems, each with its file."""

    def __init__(self, error: TrainyardError, files: Files) -> None:
        super().__init__(error.code.code, error.message, error.hint, error.problems)
        self.files = files

    def as_dict(self) -> dict[str, Any]:
        located = [{**problem.as_dict(), "file": self.files.of(problem)} for problem in self.problems]
        return {**super().as_dict(), "problems": located}


@contextmanager
def naming(files: Files) -> Iterator[None]:
    """Put file names to the problems of an error that is raised within."""
    try:
        yield
    except TrainyardError as error:
        if not error.problems:
            raise
        raise RefusedError(error, files) from None
