"""What is shown of a stored file: text, JSON with its indents, or a picture, as its first bytes say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from trainyard.domain.shown import log_text

MAX_PICTURE = 8 * 1024 * 1024
# Deep brackets are indented by more than they say: 200 KB of them would take hundreds of megabytes.
_MAX_INDENTED = 1024 * 1024
_JSON = json.JSONEncoder(indent=2, ensure_ascii=False)
_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


@dataclass(frozen=True)
class Preview:
    """What is shown of a file; `kind` is text, picture or nothing."""

    kind: str
    text: str = ""
    cut: bool = False


def preview_of(name: str, data: bytes, size: int) -> Preview:
    """Return what is shown of a file whose first bytes are given."""
    if picture_kind(data):
        return Preview("picture" if size <= MAX_PICTURE else "nothing")
    if b"\0" in data[:8192]:
        return Preview("nothing")
    whole = size <= len(data)
    if name.endswith(".json") and whole:
        return Preview("text", _indented(data))
    return Preview("text", log_text(data), cut=not whole)


def _indented(data: bytes) -> str:
    """Return JSON with its indents, or as it is where that is none, or would be too long."""
    try:
        text = _within(_JSON.iterencode(json.loads(data)))
    except (ValueError, RecursionError):
        text = None
    return log_text(data if text is None else text.encode("utf-8", "backslashreplace"))


def _within(parts: Iterable[str]) -> str | None:
    kept, length = [], 0
    for part in parts:
        kept.append(part)
        length += len(part)
        if length > _MAX_INDENTED:
            return None
    return "".join(kept)


def picture_kind(data: bytes) -> str | None:
    """Return the media type of a picture that is shown, by its first bytes; None of anything else."""
    return next((kind for start, kind in _PICTURES.items() if data.startswith(start)), None)
