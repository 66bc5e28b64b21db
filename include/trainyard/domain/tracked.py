"""Where a run is tracked besides the service, as one value that travels as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_MAX_LENGTH = 300


@dataclass(frozen=True)
class Tracked:
    """The connection of an MLflow server with the ids that a run has there, or why the server does not have it."""

    connection: str
    experiment_id: str = ""
    run_id: str = ""
    warning: str = ""

    def as_dict(self) -> dict[str, str]:
        return {name: text[:_MAX_LENGTH] for name, text in asdict(self).items()}


def read_tracked(data: Any) -> dict[str, str] | None:
    """Read it back as JSON data; None where there is none, or what no run can have left, whoever wrote it."""
    if not isinstance(data, Mapping) or not data.get("connection"):
        return None
    known = {name: data.get(name, "") for name in Tracked.__dataclass_fields__}
    if not all(isinstance(text, str) for text in known.values()):
        return None
    return Tracked(**{name: text.encode(errors="replace").decode() for name, text in known.items()}).as_dict()
