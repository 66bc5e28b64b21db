"""From the bytes of a file to text that a YAML parser can read, JSON included."""

from __future__ import annotations

import codecs
import json
import re
from itertools import islice

from trainyard.errors import Problem
from trainyard.manifest.characters import character_name

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),  # what a shell's `>` writes on Windows
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# Possessive repeats and the look-behind keep these linear on a megabyte of blanks.
_INDENTING_TAB = re.compile(r"^ *+\t[ \t]*+(?=[^\s#])", re.MULTILINE)
_HARMLESS_BLANKS = re.compile(r"(?<![ \t])[ \t]++(?=#|\r?$)", re.MULTILINE)
_COLON_ON_NEXT_LINE = re.compile(r'"(\s++):')
_MOST_TABS = 20
_AS_TEXT = "Save the manifest as plain text and remove it."


def decode(data: bytes, max_bytes: int) -> tuple[str, list[Problem]]:
    """Return the text of a file and what forbids to read on."""
    if len(data) > max_bytes:
        hint = f"Put what is not part of the manifest into the zip; a manifest may have {max_bytes} bytes."
        return "", [Problem(f"the file has {len(data)} bytes.", hint)]
    mark, encoding = next((row for row in _MARKS if data.startswith(row[0])), (b"", "utf-8"))
    body = data[len(mark) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        return "", [_undecodable(body[: error.start].decode(encoding, "replace"), body[error.start])]
    return text, _unreadable(text)


def find_place(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of a character."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def indenting_tabs(text: str) -> list[Problem]:
    """List the lines that are indented with tabs, which YAML does not allow."""
    found = []
    for match in _INDENTING_TAB.finditer(text):
        line, _ = find_place(text, match.start())
        column = match[0].index("\t") + 1
        found.append(Problem("a tab stands in the indentation.", "Use spaces.", line=line, column=column))
        if len(found) == _MOST_TABS:
            break
    return found


def is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def as_yaml(text: str) -> str:
    """Bend what JSON and careless editors allow into what the YAML parser takes, every place kept."""
    if is_json(text):
        # JSON has no raw tab or line end inside a string, so none of these can be part of a value.
        return _COLON_ON_NEXT_LINE.sub(r'":\1', text.replace("\t", " "))
    return _HARMLESS_BLANKS.sub(lambda match: " " * len(match[0]), text) if "\t" in text else text


def _undecodable(before: str, byte: int) -> Problem:
    line, column = find_place(before, len(before))
    return Problem(f"byte 0x{byte:02x} is not UTF-8.", "Save the file as UTF-8.", line=line, column=column)


def _unreadable(text: str) -> list[Problem]:
    return [
        Problem(f"character {character_name(match[0])} is not text.", _AS_TEXT, "", *find_place(text, match.start()))
        for match in islice(_UNREADABLE.finditer(text), _MOST_TABS)
    ]
