"""The body of a PATCH."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class PatchOperation(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: str
    path: str
    value: Any = None
