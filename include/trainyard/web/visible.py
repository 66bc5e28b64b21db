"""What programs and people write, made harmless to look at: nothing that hides or reorders is left in a text."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup

# Control characters but tab and line feed; marks of direction, blanks of no width, and what has no meaning at all.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Colours and bold; on a page they would only be noise.
_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
_CONTROL_PICTURES = 0x2400


def visible(value: object) -> object:
    """Return a value for a page: hidden characters of a text are replaced by signs that say what they are."""
    if isinstance(value, str) and not isinstance(value, Markup) and _HIDDEN.search(value):
        return _HIDDEN.sub(lambda found: _sign(found[0]), value)
    return "" if value is None else value


def log_text(data: bytes) -> str:
    """Return a log as text: without colours, and of a line that was written anew again and again its last state."""
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
