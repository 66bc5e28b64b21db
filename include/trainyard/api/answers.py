"""The shapes of answers, as the OpenAPI document has them: errors, and what goes with them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from trainyard.errors import CODES


class ProblemAnswer(BaseModel):
    """One fault of a submission: where it is, what was seen there, and the hint."""

    code: str
    message: str
    hint: str
    cure: str
    path: str
    line: int | None
    column: int | None
    seen: str | None
    file: str


class ErrorInside(BaseModel):
    """What went wrong: a stable code, whose fault it is, the sentence, the hint, and every problem of a submission."""

    code: str
    fault: str
    message: str
    hint: str
    cure: str
    problems: list[ProblemAnswer]


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorInside


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of a route, each with the codes that it may carry; whoever calls has to be signed in."""
    return {status: {"model": ErrorAnswer, "description": _told(status)} for status in sorted({401, *statuses})}


def _told(status: int) -> str:
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
