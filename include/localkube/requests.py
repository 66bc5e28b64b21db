"""What every handler reads from a request: its body, its parameters, whether it wants a table."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from localkube.objects import KINDS, Kind
from localkube.status import ApiError, bad_request, no_such_path

_LARGEST_BODY = 3 * 1024 * 1024  # what a real API server takes


def kind_of(request: Request) -> Kind:
    """Return the kind that the path names. Raise ApiError 404 for a kind or a place of it that there is not."""
    kind = KINDS.get(request.path_params["plural"])
    has_namespace = "namespace" in request.path_params
    wants_one_namespace = "name" in request.path_params or request.method == "POST"
    if kind is None or (has_namespace and not kind.namespaced):
        raise no_such_path()
    if kind.namespaced and not has_namespace and wants_one_namespace:
        raise no_such_path()
    return kind


async def json_body(request: Request) -> Any:
    """Return the body. Raise ApiError 415 for protobuf and YAML, 413 for too much, 400 for no JSON."""
    content_type = request.headers.get("content-type", "application/json")
    if "json" not in content_type:
        raise ApiError(415, "UnsupportedMediaType", f"the body must be JSON, not {content_type}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise ApiError(413, "RequestEntityTooLarge", f"the body has more than {_LARGEST_BODY} bytes")
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None


async def object_body(request: Request) -> dict[str, Any]:
    body = await json_body(request)
    if not isinstance(body, dict):
        raise bad_request("the body is not an object")
    return body


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("1", "true")


def number(request: Request, name: str) -> int | None:
    """Return a whole number of the query, None if it is not there. Raise ApiError 400 for another text."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    if not text.isdecimal():
        raise bad_request(f"invalid value for {name}: {text!r} is not a whole number")
    return int(text)


def wants_table(request: Request) -> bool:
    return "as=Table" in request.headers.get("accept", "")


def is_dry_run(request: Request) -> bool:
    return request.query_params.get("dryRun", "") == "All"
