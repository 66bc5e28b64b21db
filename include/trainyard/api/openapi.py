"""What routes say of themselves in the OpenAPI document: what they answer, and what they refuse."""

from __future__ import annotations

from typing import Any

from trainyard.answers.base import Answer
from trainyard.answers.errors import ErrorAnswer
from trainyard.errors import CODES


def answers(model: type[Answer]) -> dict[str, Any]:
    """Describe what a route answers; it sends the fields that it was given and no others."""
    return {"response_model": model, "response_model_exclude_unset": True}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of a route, each with the codes that it may carry; whoever calls has to be signed in."""
    return {status: {"model": ErrorAnswer, "description": _reported(status)} for status in sorted({401, *statuses})}


def _reported(status: int) -> str:
    rows = [row for row in CODES.values() if row.status == status]
    return "; ".join(f"{row.code}: {row.title}" for row in rows)


def documented(described: dict[str, Any]) -> dict[str, Any]:
    """Take out of an OpenAPI document the 422 that its maker adds: a malformed request is answered 400 here."""
    for routes in described["paths"].values():
        for route in routes.values():
            route.get("responses", {}).pop("422", None)
    for shape in ("HTTPValidationError", "ValidationError"):
        described["components"]["schemas"].pop(shape, None)
    return described
