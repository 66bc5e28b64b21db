"""Rows and columns as text: aligned, wrapped to a terminal, and values as people read them."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trainyard.cli.output import one_line, printable

Row = Sequence[str]
Paint = Callable[[str], str]
_GAP = 3
_SENTENCES = {"Reason", "Hint", "Warning"}
_MIN_ROOM = 20
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def columns(
    header: Row, rows: Sequence[Row], least: Sequence[int] = (), paints: Mapping[int, Paint] | None = None
) -> list[str]:
    """Align rows under a header, three blanks apart; no line ends in a blank."""
    lines = [header, *rows]
    least = (*least, *([0] * (len(header) - len(least))))
    widths = [max(floor, *(cells(line[at]) for line in lines)) for at, floor in enumerate(least)]
    return [_line(line, widths, (paints or {}) if line is not header else {}) for line in lines]


def pairs(rows: Iterable[tuple[str, str]], width: int = 12, terminal: int | None = None) -> list[str]:
    """Align values beside their labels; a value of several lines, or wrapped to a terminal, stays in its column."""
    indent = " " * (width + _GAP)
    room = (terminal or 0) - len(indent)
    return [
        label.ljust(width + _GAP) + _wrapped(value, room if label in _SENTENCES else 0).replace("\n", "\n" + indent)
        for label, value in rows
    ]


def _wrapped(text: str, room: int) -> str:
    """Break lines between words where there is room for some; an address or path is never broken."""
    if room < _MIN_ROOM:
        return text
    lines = (textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) for line in text.splitlines())
    return "\n".join("\n".join(line) for line in lines)


def cells(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(_cell_width(character) for character in text)


def _cell_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line(row: Row, widths: Sequence[int], paints: Mapping[int, Paint]) -> str:
    gaps = [" " * (width - cells(text) + _GAP) for text, width in zip(row, widths, strict=True)]
    gaps[-1] = ""
    parts = (paints.get(at, str)(text) + gap for at, (text, gap) in enumerate(zip(row, gaps, strict=True)))
    return "".join(parts).rstrip()


def text_of(data: Mapping[str, Any], key: str) -> str:
    """Return a value of an answer as text of one line; nothing where there is none."""
    return one_line(data.get(key))


def lines_of(text: Any) -> str:
    """Return a text of several lines as a terminal can show it."""
    return "\n".join(printable(line.rstrip()) for line in str(text or "").strip().splitlines())


def size_text(size: Any) -> str:
    """Say a number of bytes in the largest unit that it has one of, to a tenth."""
    if not isinstance(size, int):
        return ""
    power = min(max(size.bit_length() - 1, 0) // 10, len(_SIZES) - 1)
    return f"{size / 1024**power:.{1 if power else 0}f} {_SIZES[power]}"


def spoken_seconds(seconds: float) -> str:
    """Say a length of time in its two largest units: 45s, 12m, 3h05m, 2d04h."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    days = whole // 86400
    return f"{days}d{whole % 86400 // 3600:02d}h" if days < 10 else f"{days}d"


def schedule_text(schedule: Mapping[str, Any]) -> str:
    """Say when a schedule is due: the cron with its time zone, or how often the data is looked at."""
    text, seconds = text_of(schedule, "schedule"), schedule.get("every_seconds")
    if not isinstance(seconds, int) or seconds <= 0:
        return text
    unit, size = next(row for row in _UNITS if seconds % row[1] == 0)
    return f"{text}, every {seconds // size}{unit}"
