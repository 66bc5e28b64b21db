"""What programs and people write, as text that is harmless to look at: signs stand for what hides or steers."""

from __future__ import annotations

import re
import unicodedata

from trainyard.domain.characters import NOT_SHOWN

# Colours and bold; where text is only read they would be noise.
_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
_CONTROL_PICTURES = 0x2400


def with_signs(text: str) -> str:
    """Replace hidden characters of a text by signs that say what they are."""
    return NOT_SHOWN.sub(lambda found: _sign(found[0]), text)


def log_text(data: bytes) -> str:
    """Return a log as text: without colours, and of a line that was rewritten again and again its last state."""
    text = _COLOUR.sub("", data.decode("utf-8", "backslashreplace"))
    lines = (line.removesuffix("\r").rpartition("\r")[2] for line in text.split("\n"))
    return with_signs("\n".join(lines))


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    return f"\u2039U+{code:04X}\u203a" if not unicodedata.name(character, "").startswith("TAG ") else "\ufffd"
