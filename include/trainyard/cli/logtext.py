"""A program's log on a person's terminal, which it may colour and no more; elsewhere its bytes as they are."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import TextIO

from trainyard.cli.output import coloured, printable, raw

# Select Graphic Rendition: colours and bold, nothing that moves the cursor, asks the terminal, or sets it up.
_COLOUR = r"\x1b\[[0-9;:]{0,64}m"
# A carriage return begins its own line again, as every progress bar does, and reaches no other line.
_KEPT = re.compile(rf"({_COLOUR}|\r)")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-9;:]{0,64})?\Z")
_RESET = "\x1b[0m"


def write_log(chunks: Iterable[bytes], stream: TextIO, as_it_is: bool = False) -> bool:
    """Write a log as it comes; return whether there was any.

    On a terminal it is `harmless`, unless it is wanted `as_it_is`.
    """
    some = False
    if as_it_is or not stream.isatty():
        for chunk in chunks:
            some = True
            raw(chunk, stream)
        return some
    for text in harmless(chunks, coloured(stream)):
        some = True
        stream.write(text)
        stream.flush()
    return some


def harmless(chunks: Iterable[bytes], colours: bool) -> Iterator[str]:
    """Yield a log with its control characters made visible, but for line ends, tabs and `colours`.

    A character or a colour that one chunk begins and the next one ends is kept whole. Bytes that are no UTF-8 are shown
    as `\\xNN`.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    rest, painted = "", False
    for chunk in chunks:
        text = rest + decoder.decode(chunk)
        found = _UNFINISHED.search(text)
        rest = found[0] if found else ""
        shown = _shown(text.removesuffix(rest), colours)
        painted = painted or "\x1b" in shown
        if shown:
            yield shown
    end = _shown(rest + decoder.decode(b"", final=True), colours) + (_RESET if painted else "")
    if end:
        yield end


def _shown(text: str, colours: bool) -> str:
    # Every second piece is one that the pattern has found.
    pieces = _KEPT.split(text)
    pieces[::2] = map(printable, pieces[::2])
    if not colours:
        pieces[1::2] = [piece if piece == "\r" else "" for piece in pieces[1::2]]
    return "".join(pieces)
