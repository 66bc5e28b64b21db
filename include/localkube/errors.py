"""What can go wrong: a start that is refused, a request that is refused, a container that cannot start yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class LocalkubeError(Exception):
    """Every error of this package; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotReadyError(LocalkubeError):
    """A volume cannot be made yet: the container waits, and it is tried again."""


class NoSecretError(LocalkubeError):
    """A secret that a container names is not there: the container waits, and it is tried again."""


class Cause(NamedTuple):
    """One fault of an object: the field, what is wrong, and the API's word for it."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ApiError(LocalkubeError):
    """A refused request, with its HTTP status and the API's reason (`NotFound`, `Invalid`, ...)."""

    def __init__(self, status: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.details = details or {}

    def body(self) -> dict[str, Any]:
        """Return the error as a Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.status,
        }


def not_found(plural: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{plural} "{name}" not found', {"name": name, "kind": plural})


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def already_exists(plural: str, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{plural} "{name}" already exists', {"name": name, "kind": plural})


def conflict(plural: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {plural} "{name}": {why}'
    return ApiError(409, "Conflict", message, {"name": name, "kind": plural})


def not_allowed(verb: str) -> ApiError:
    return ApiError(405, "MethodNotAllowed", f"the server does not allow {verb} on the requested resource")


def expired(wanted: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def invalid(kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Return the 422 that lists all faults of an object."""
    faults = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    listed = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    details = {"name": name, "kind": kind, "causes": listed}
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {faults}', details)
