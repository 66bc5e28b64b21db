"""From the bytes of a file to text that a YAML parser can read, JSON included, every character at its place."""

from __future__ import annotations

import codecs
import json
import re
from itertools import islice

from trainyard.errors import Problem
from trainyard.manifest.characters import character_name
from trainyard.manifest.zipend import archive_kind

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),  # what a shell's `>` writes on Windows
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Possessive repeats and the look-behind keep these linear on a megabyte of blanks.
_INDENTING_TAB = re.compile(r"^ *+\t[ \t]*+(?=[^\s#])", re.MULTILINE)
_HARMLESS_BLANKS = re.compile(r"(?<![ \t])[ \t]++(?=#|\r?$)", re.MULTILINE)
_COLON_ON_NEXT_LINE = re.compile(r'"(\s++):')
_LONE_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")
# PyYAML ends a line at the first three, as YAML 1.1 did and no editor does, and skips the last one. Characters that
# are never in a text stand in for them while it is parsed.
_STAND_INS = {0x85: "\ufdd0", 0x2028: "\ufdd1", 0x2029: "\ufdd2", 0xFEFF: "\ufdd3"}
_WITH_STAND_IN = re.compile("[\x85\u2028\u2029\ufeff]")
_STANDING_IN = re.compile("[\ufdd0-\ufdd4]")
_BACKSLASH = "\ufdd4"
_ORIGINALS = {ord(stand_in): chr(code) for code, stand_in in _STAND_INS.items()} | {ord(_BACKSLASH): "\\"}
# JSON writes a character beyond U+FFFF as two escapes, which libyaml refuses; the last two would make stand-ins.
_CODE = r"(?:u|U0000)([dD][89a-fA-F][0-9a-fA-F]{2}|[fF][dD][dDeE][0-9a-fA-F])"
_FOREIGN_ESCAPE = re.compile(rf"(?<!\\)((?:\\\\)*+)\\(?={_CODE})")
_STANDING_ESCAPE = re.compile(_BACKSLASH + _CODE)
_TORN = re.compile("[\ud800-\udfff]")
_MAX_LISTED = 20
_AS_TEXT = "Save the manifest as plain text and remove it."


def decode(data: bytes, max_bytes: int) -> tuple[str, list[Problem]]:
    """Return the text of a file, with no line end but LF and CRLF, and what forbids to read on."""
    if len(data) > max_bytes:
        hint = f"Put what is not part of the manifest into the zip; a manifest may have {max_bytes} bytes."
        return "", [Problem(f"the file has {len(data)} bytes.", hint)]
    if kind := archive_kind(data[:512]):
        return "", [
            Problem(f"this is a {kind} archive, not a manifest.", "Submit the manifest as text, beside the zip.")
        ]
    mark, encoding = next((row for row in _BYTE_ORDER_MARKS if data.startswith(row[0])), (b"", _unmarked(data[:64])))
    body = data[len(mark) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        return "", [_undecodable(body[: error.start].decode(encoding, "replace"), body[error.start])]
    text = _LONE_CARRIAGE_RETURN.sub("\n", text)
    return text, _unreadable(text)


def _unmarked(begin: bytes) -> str:
    """Return the encoding of a text without a mark: half of the bytes of UTF-16 are zeros."""
    if len(begin) > 1 and not any(begin[1::2]):
        return "utf-16-le"
    return "utf-16-be" if len(begin) > 1 and not any(begin[::2]) else "utf-8"


def find_place(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of a character."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def lines_of(text: str) -> list[str]:
    """Return the lines of a decoded text, without their ends."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def indenting_tabs(text: str) -> list[Problem]:
    """List the lines that are indented with tabs, which YAML does not allow."""
    found = []
    for match in islice(_INDENTING_TAB.finditer(text), _MAX_LISTED):
        line, _ = find_place(text, match.start())
        column = match[0].index("\t") + 1
        found.append(Problem("a tab stands in the indentation.", "Use spaces.", line=line, column=column))
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
    """Return what the parser reads for a text: what JSON and careless editors write made YAML, every place kept."""
    if is_json(text):
        # JSON has no raw tab or line end inside a string, so none of these can be part of a value.
        text = _COLON_ON_NEXT_LINE.sub(r'":\1', text.replace("\t", " "))
    elif "\t" in text:
        text = _HARMLESS_BLANKS.sub(lambda match: " " * len(match[0]), text)
    if _WITH_STAND_IN.search(text):
        text = text.translate(_STAND_INS)
    return _FOREIGN_ESCAPE.sub(rf"\1{_BACKSLASH}", text) if "\\" in text else text


def as_written(value: str, *, escaped: bool) -> str:
    r"""Return a value that was parsed with the characters that stood in the text; `escaped` where `\u` means one."""
    if not _STANDING_IN.search(value):
        return value
    if escaped:
        pieces = _STANDING_ESCAPE.split(value)  # every second one is the code of an escape
        pieces[1::2] = [chr(int(code, 16)) for code in pieces[1::2]]
        pieces[::2] = [piece.translate(_ORIGINALS) for piece in pieces[::2]]
        return _joined("".join(pieces))
    return value.translate(_ORIGINALS)


def _joined(text: str) -> str:
    r"""Make one character of two escapes such as `\ud83d\ude00`."""
    if not _TORN.search(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return text


def _undecodable(before: str, byte: int) -> Problem:
    line, column = find_place(before, len(before))
    return Problem(f"byte 0x{byte:02x} is not UTF-8.", "Save the file as UTF-8.", line=line, column=column)


def _unreadable(text: str) -> list[Problem]:
    return [
        Problem(f"character {character_name(match[0])} is not text.", _AS_TEXT, "", *find_place(text, match.start()))
        for match in islice(_UNREADABLE.finditer(text), _MAX_LISTED)
    ]
