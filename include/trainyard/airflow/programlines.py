"""Bytes that a program printed as lines that may stand in Airflow's log: they steer neither terminal nor page."""

from __future__ import annotations

import re

# What a line of a program begins with, so that none is taken for a line of the service's.
MARK = "│ "
MAX_LINE = 2000
# Colours, and the other sequences that a terminal obeys without showing anything.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;:?]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\))")
# Airflow's page folds what stands between two such lines.
_FOLD = re.compile(r"::(?=(?:end)?group::)")


def visible(text: str) -> str:
    """Return a text on one line: colours are left out, control characters and marks of direction are escaped."""
    plain = _FOLD.sub(": :", _SEQUENCE.sub("", text)) if "\x1b" in text or "::" in text else text
    if plain.isprintable():
        return plain
    return "".join(each if each.isprintable() or each == "\t" else _escaped(each) for each in plain)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def split_lines(data: bytes, ended: bool) -> tuple[list[str], int]:
    """Return the lines of a part of a log, and how many of its bytes they are; the rest is no whole line yet.

    A line that writes over itself, as progress bars do, counts as what it shows at last, and is shown before its end.
    """
    whole = len(data) if ended else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if not whole and len(data) > MAX_LINE * 4:
        whole = len(data)  # a line without an end is shown in pieces
    pieces = data[:whole].split(b"\n")
    if pieces[-1] in (b"", b"\r"):
        del pieces[-1]
    return [_line(piece) for piece in pieces], whole


def _line(piece: bytes) -> str:
    shown = next((part for part in reversed(piece.split(b"\r")) if part), b"")
    # Cut before it is decoded: a line may be as long as the log.
    kept = shown[: MAX_LINE * 4].decode(errors="backslashreplace")[:MAX_LINE]
    cut = f" … ({len(shown)} bytes)" if len(shown) > MAX_LINE * 4 or len(kept) == MAX_LINE else ""
    return f"{MARK}{visible(kept)}{cut}"
