"""What programs and people write, made harmless to look at: nothing that hides or reorders is left in a text."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup

from trainyard.domain.characters import NOT_SHOWN

# Colours and bold; on a page they would only be noise.
_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
_CONTROL_PICTURES = 0x2400


def visible(value: object) -> object:
    """Return a value for a page: hidden characters of a text are replaced by signs that say what they are."""
    if isinstance(value, str) and not isinstance(value, Markup) and NOT_SHOWN.search(value):
        return NOT_SHOWN.sub(lambda found: _sign(found[0]), value)
    return "" if value is None else value


def log_text(data: bytes) -> str:
    """Return a log as text: without colours, and of a line that was rewritten again and again its last state."""
    text = _COLOUR.sub("", data.decode("utf-8", "backslashreplace"))
    lines = (line.removesuffix("\r").rpartition("\r")[2] for line in text.split("\n"))
    return str(visible("\n".join(lines)))


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    return f"\u2039U+{code:04X}\u203a" if not unicodedata.name(character, "").startswith("TAG ") else "\ufffd"
