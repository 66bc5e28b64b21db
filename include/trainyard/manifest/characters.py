"""Characters that nobody sees, or takes for a blank: found in a text and called by their Unicode names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from trainyard.domain.characters import HIDING

# What hides, and what else is taken for nothing or for a blank: fillers, variation selectors, private use,
# wide and narrow blanks.
HIDDEN = re.compile(
    f"[{HIDING}\xa0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202f\u205f\u2800\u3000\u3164"
    "\ue000-\uf8ff\ufe00-\ufe0f\uffa0\ufff0-\ufff8\ufffe\uffff\U0001d173-\U0001d17a\U000e0080-\U000e0fff]"
)
# Languages and emoji need these: joiners, marks of direction, variation selectors, the blanks of French and Japanese.
_OF_PROSE = re.compile("[\xa0\u200c-\u200f\u202f\u2800\u3000\ufe00-\ufe0f\U000e0020-\U000e007f]")
# Unicode gives control characters no names, only aliases.
_ALIASES = """\
NULL,START OF HEADING,START OF TEXT,END OF TEXT,END OF TRANSMISSION,ENQUIRY,ACKNOWLEDGE,ALERT,BACKSPACE,\
CHARACTER TABULATION,LINE FEED,LINE TABULATION,FORM FEED,CARRIAGE RETURN,SHIFT OUT,SHIFT IN,DATA LINK ESCAPE,\
DEVICE CONTROL ONE,DEVICE CONTROL TWO,DEVICE CONTROL THREE,DEVICE CONTROL FOUR,NEGATIVE ACKNOWLEDGE,\
SYNCHRONOUS IDLE,END OF TRANSMISSION BLOCK,CANCEL,END OF MEDIUM,SUBSTITUTE,ESCAPE,INFORMATION SEPARATOR FOUR,\
INFORMATION SEPARATOR THREE,INFORMATION SEPARATOR TWO,INFORMATION SEPARATOR ONE""".split(",")  # noqa: SIM905
_CONTROLS = {chr(code): name for code, name in enumerate(_ALIASES)} | {"\x7f": "DELETE", "\x85": "NEXT LINE"}
# A file of nothing else must not become a list of a million.
_MAX_LISTED = 20


@dataclass(frozen=True)
class HiddenCharacter:
    """One such character and where it stands, from 1; an escape sequence has the place of its value."""

    character: str
    line: int
    column: int

    @property
    def name(self) -> str:
        return character_name(self.character)

    @property
    def belongs_to_prose(self) -> bool:
        return _OF_PROSE.fullmatch(self.character) is not None


def character_name(character: str) -> str:
    """Return name and code point, such as `ZERO WIDTH SPACE (U+200B)`."""
    named = _CONTROLS.get(character) or unicodedata.name(character, "")
    code = f"U+{ord(character):04X}"
    return f"{named} ({code})" if named else code


def foreign_to_ascii(text: str) -> str:
    """Name the first character of a text that is not ASCII, which may look like one that is; empty if all are."""
    found = next((character for character in text if not character.isascii()), "")
    return f"{found} is {character_name(found)}" if found else ""


def hidden_characters(text: str, line: int = 1, column: int = 1) -> Iterator[HiddenCharacter]:
    """Yield the first hidden characters of a text that begins at this place."""
    at = 0
    for count, match in enumerate(HIDDEN.finditer(text)):
        if count == _MAX_LISTED:
            return
        skipped = text[at : match.start()]
        at = match.start()
        if lines := skipped.count("\n"):
            line, column = line + lines, 1
            skipped = skipped[skipped.rfind("\n") + 1 :]
        column += len(skipped)
        yield HiddenCharacter(match[0], line, column)


def hidden_in(value: str, source: str, line: int, column: int) -> tuple[HiddenCharacter, ...]:
    """Return the hidden characters of a value that was read from a piece of source text at this place."""
    if not HIDDEN.search(value):
        return ()
    written = tuple(hidden_characters(source, line, column))
    return written or tuple(
        HiddenCharacter(character, line, column) for character in HIDDEN.findall(value)[:_MAX_LISTED]
    )
