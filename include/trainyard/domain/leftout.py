"""What of a run's files was not stored, as one value that travels as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# It is an XCom and a part of an answer: a program can leave any number of links.
MAX_LISTED = 20
_MAX_LENGTH = 300


@dataclass(frozen=True)
class LeftOut:
    """A file that was not stored, by its place in the run's folders; the reason goes on after "it"."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} is not stored: it {self.reason}"


def left_out_json(found: Sequence[LeftOut]) -> dict[str, Any]:
    """Return how many files were left out, and the first of them with their reasons, as JSON data."""
    files = [{"name": _text(one.name), "reason": _text(one.reason)} for one in found[:MAX_LISTED]]
    return {"count": len(found), "files": files}


def read_left_out(data: Any) -> dict[str, Any] | None:
    """Read it back; None where there is none, or what no run can have left, whoever wrote it."""
    if not isinstance(data, Mapping) or type(data.get("count")) is not int or data["count"] <= 0:
        return None
    rows = data.get("files")
    rows = rows[:MAX_LISTED] if isinstance(rows, list) else []
    files = [{"name": _text(row.get("name")), "reason": _text(row.get("reason"))} for row in rows if _is_row(row)]
    return {"count": data["count"], "files": files}


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping)


def _text(value: Any) -> str:
    return str(value or "").encode(errors="replace").decode()[:_MAX_LENGTH]
