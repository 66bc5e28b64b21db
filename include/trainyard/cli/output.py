"""What is written where: text or JSON on stdout, remarks on stderr, colours on a terminal only."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from trainyard.client.errors import WrongUsageError
from trainyard.domain.characters import NOT_SHOWN
from trainyard.domain.states import State

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_STATES: dict[str, str] = {
    State.RUNNING: "cyan",
    State.COMPLETED: "green",
    State.ERROR: "red",
    State.CANCELED: "yellow",
}


class Screen:
    """Standard output in one of two ways: `say` speaks in text mode alone, `data` in JSON mode alone."""

    def __init__(self, output: str = "text") -> None:
        if output not in ("text", "json"):
            raise WrongUsageError(f"there is no output {output!r}", "Use --output text or --output json.")
        self.json = output == "json"

    def say(self, *lines: str) -> None:
        if not self.json:
            _write(sys.stdout, lines)

    def data(self, value: Any) -> None:
        if self.json:
            _write(sys.stdout, [escaped(json.dumps(value, indent=2, ensure_ascii=False))])

    def warn(self, warnings: Iterable[str]) -> None:
        """Show the warnings of an answer to a person; in JSON mode they are part of it."""
        if not self.json:
            warn(*warnings)

    def state(self, text: str) -> str:
        """Colour the state in a piece of text, spaces around it left alone."""
        return paint(text, _STATES.get(text.strip(), ""), sys.stdout)


def remark(*lines: str) -> None:
    """Write to stderr, in either mode."""
    _write(sys.stderr, lines)


def warn(*warnings: str) -> None:
    remark(*(f"{paint('warning:', 'yellow', sys.stderr)} {printable(text)}" for text in warnings))


def raw(chunk: bytes, stream: TextIO | None = None) -> None:
    """Pass bytes of a log on as they are: its own colours and progress bars belong to the program."""
    target = stream or sys.stdout
    target.flush()
    target.buffer.write(chunk)
    target.buffer.flush()


def paint(text: str, colour: str, stream: TextIO) -> str:
    if colour not in _COLOURS or not coloured(stream):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def coloured(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Return how wide the terminal is, None where there is none: then nothing is left out and no line is broken."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def printable(text: str) -> str:
    """Make visible what hides or steers, so that no name is taken for another or moves the cursor of who lists it."""
    return NOT_SHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(value: Any) -> str:
    """Return a value as printable text without line ends and tabs, so that it cannot look like a line of ours."""
    return "" if value is None else printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def escaped(text: str) -> str:
    """Escape in a JSON text what could hide or steer."""
    return NOT_SHOWN.sub(lambda found: json.dumps(found[0])[1:-1], text)


@contextmanager
def if_interrupted(*lines: str) -> Iterator[None]:
    """Say what the service goes on with when Ctrl-C ends the command."""
    try:
        yield
    except KeyboardInterrupt:
        remark("", *lines)
        raise


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    for line in lines:
        stream.write(line + "\n")
    stream.flush()
