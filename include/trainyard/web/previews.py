"""What is shown of a stored file: text, JSON with its indents, or a picture, as its first bytes say."""

from __future__ import annotations

import json
from dataclasses import dataclass

from trainyard.web.visible import log_text

MAX_PICTURE = 8 * 1024 * 1024
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
    try:
        return log_text(json.dumps(json.loads(data), indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError):
        return log_text(data)


def picture_kind(data: bytes) -> str | None:
    """Return the media type of a picture that is shown, by its first bytes; None of anything else."""
    return next((kind for start, kind in _PICTURES.items() if data.startswith(start)), None)
