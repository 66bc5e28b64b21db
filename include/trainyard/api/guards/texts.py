"""Texts that no database and no file system takes: invalid UTF-8, lone surrogates, and NUL."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from trainyard.api.guards.asgi import Scope
from trainyard.errors import TrainyardError

# Escapes in JSON that may be a surrogate or NUL; pairs of surrogates are fine, so that these are looked at again.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_BAD = re.compile("[\0\ud800-\udfff]")


def check_address(scope: Scope) -> None:
    """Raise TrainyardError C110 for a path or a query that is not UTF-8 without NUL."""
    path = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    for place, escaped in (("path", path), ("query", scope.get("query_string", b""))):
        _check_bytes(unquote_to_bytes(escaped), place)


def check_body(body: bytes, content_type: str) -> None:
    """Raise TrainyardError C110 for a JSON or urlencoded body with a text that cannot be stored."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        _check_bytes(unquote_to_bytes(body), "form")
    elif not kind.startswith("multipart/"):
        _check_json(body)


def check_text(text: str, place: str) -> None:
    """Raise TrainyardError C110 for a text with NUL or a lone surrogate."""
    if _BAD.search(text):
        raise _refusal(place)


def _check_bytes(value: bytes, place: str) -> None:
    try:
        check_text(value.decode(), place)
    except UnicodeDecodeError:
        raise _refusal(place) from None


def _check_json(body: bytes) -> None:
    """Check what a JSON parser would make of the body; what is no JSON is left to whoever parses it."""
    _check_bytes(body, "body")
    if not _SUSPECT.search(body):
        return
    try:
        found = json.loads(body)
        _check_value(found)
    except (ValueError, RecursionError):
        raise TrainyardError("C110", "the body is no JSON that can be read", "See /v3/docs.") from None


def _check_value(found: Any) -> None:
    waiting = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            check_text(value, "body")
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value


def _refusal(place: str) -> TrainyardError:
    message = f"the request's {place} has text that is not valid Unicode, or a NUL character"
    return TrainyardError("C110", message, "Send UTF-8 without NUL and without lone surrogates.")
