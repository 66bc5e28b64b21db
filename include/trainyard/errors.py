"""The one error family: a stable code says what went wrong and whose fault it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """Who has to act: the person who submitted, or those who run the service."""

    CLIENT = "client"
    SERVICE = "service"


@dataclass(frozen=True)
class Code:
    """One row of the error table. `status` is the HTTP status of an answer that carries it."""

    code: str
    status: int
    title: str
    retried: bool = False

    @property
    def fault(self) -> Fault:
        return Fault.CLIENT if self.code.startswith("C") else Fault.SERVICE


# The numbers up to C201 and S305 are FfDL's, so that scripts written for it keep their meaning.
_ROWS = (
    Code("C101", 400, "the manifest cannot be run"),
    Code("C102", 400, "the zip cannot be run"),
    Code("C103", 400, "an object store refused the credentials or has no such bucket"),
    Code("C104", 400, "the resources asked for are not available to this account"),
    Code("C105", 401, "not signed in"),
    Code("C106", 403, "not allowed"),
    Code("C107", 404, "no such run"),
    Code("C108", 409, "the run is in a state that does not allow this"),
    Code("C109", 413, "the submission is too large"),
    Code("C110", 400, "the request is malformed"),
    Code("C111", 409, "a schedule does not allow this"),
    Code("C112", 409, "a notification did not arrive"),
    Code("C114", 400, "an object store is at an address that is not allowed, or answers beyond the limits"),
    Code("C115", 429, "too many requests of the account wait for its object stores"),
    Code("C116", 400, "a secret that the manifest names is not kept"),
    Code("C117", 409, "what a run would repeat exactly is not there any more"),
    Code("C120", 429, "too many requests"),
    Code("C121", 408, "the request came too slowly"),
    Code("C201", 400, "the training program failed"),
    Code("C202", 400, "the training program ran out of memory"),
    Code("C203", 400, "the training program ran longer than allowed"),
    Code("C204", 400, "the run was canceled"),
    Code("C205", 400, "a watchdog stopped the run"),
    Code("S100", 503, "no resources to run on", retried=True),
    Code("S101", 500, "the training pod could not be started", retried=True),
    Code("S102", 503, "the training pod was lost", retried=True),
    Code("S103", 500, "the framework's image could not be pulled", retried=True),
    Code("S200", 503, "the Kubernetes API does not answer", retried=True),
    Code("S301", 500, "the model definition could not be loaded", retried=True),
    Code("S302", 500, "the training data could not be loaded", retried=True),
    Code("S303", 500, "the results could not be stored", retried=True),
    Code("S304", 500, "the logs could not be stored", retried=True),
    Code("S305", 500, "the results were stored incompletely", retried=True),
    Code("S306", 503, "too many requests wait for object stores", retried=True),
    Code("S500", 500, "the service failed"),
)
CODES = {row.code: row for row in _ROWS}
# What a hint was called before 0.2: written beside it until 0.3, and read where no hint is.
_FORMER_NAME = "cure"


def with_former_name(data: dict[str, Any]) -> dict[str, Any]:
    """Return JSON data that also has its `hint` under the name that it had before 0.2."""
    return {**data, _FORMER_NAME: data["hint"]}


def hint_of(data: Mapping[str, Any]) -> Any:
    """Return the hint in JSON data, of whatever version wrote it; None where there is none."""
    return data.get("hint", data.get(_FORMER_NAME))


@dataclass(frozen=True)
class Problem:
    """One fault of a submission: where it is, what was seen there, and the hint.

    `path` is dotted with list indices (`training_data_reference[0].source.type`); `line` and `column`
    count from 1; `seen` is the value as text, masked where it is a credential. `file` is the manifest's name where
    several were submitted.
    """

    message: str
    hint: str
    path: str = ""
    line: int | None = None
    column: int | None = None
    seen: str | None = None
    code: str = "C101"
    file: str = ""

    def __post_init__(self) -> None:
        for name in ("message", "hint", "path", "seen", "file"):
            object.__setattr__(self, name, _on_one_line(getattr(self, name)))

    def __str__(self) -> str:
        return " ".join(part for part in (self.place, self.message, self.hint) if part)

    def as_dict(self) -> dict[str, Any]:
        return with_former_name(asdict(self))

    @property
    def place(self) -> str:
        where = "" if self.line is None else f"line {self.line}, column {self.column}"
        parts = [part for part in (self.file, where, self.path) if part]
        return ": ".join(parts) + (":" if parts else "")


def _on_one_line(text: str | None) -> str | None:
    """Escape what would end the line, or turn its direction: keys, values and names of strangers appear in it."""
    if text is None or text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class TrainyardError(Exception):
    """Anything that Trainyard refuses or fails at, with its code, the sentence and the hint."""

    def __init__(self, code: str, message: str, hint: str = "", problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.code = CODES[code]
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)
        # Whole seconds after which the same request may be let through; None where waiting does not help.
        self.retry_after: int | None = None

    @property
    def fault(self) -> Fault:
        """Whose it is: `client` or `service`."""
        return self.code.fault

    @property
    def status(self) -> int:
        """The status of the HTTP answer that carries it."""
        return self.code.status

    def as_dict(self) -> dict[str, Any]:
        """Return the error as JSON data, as REST answers and `--output json` show it."""
        reported = {"code": self.code.code, "fault": self.fault.value, "message": self.message, "hint": self.hint}
        return {**with_former_name(reported), "problems": [problem.as_dict() for problem in self.problems]}

    @classmethod
    def refused(cls, problems: Iterable[Problem]) -> TrainyardError:
        """Build the refusal of a submission from all its problems; the first one's code leads."""
        found = tuple(problems)
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        return cls(found[0].code, f"the submission has {count}", "fix what is listed and submit again", found)
