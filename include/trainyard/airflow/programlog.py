"""A program's output in Airflow's log of its train step: live at a bounded cost, its end in any case."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from trainyard.airflow.programlines import split_lines
from trainyard.airflow.threads import in_thread
from trainyard.stores.tree import open_inside, write_inside
from trainyard.workspace.layout import RunFolder

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

POLL_SECONDS = 2.0
# Every line costs the triggerer, the disk and each reader of the page: so much at once, and so much a second for long.
MAX_LOOK = 64 * 1024
MAX_BURST = 256 * 1024
BYTES_PER_SECOND = 128
# So much live, and as much as this of the end.
MAX_LIVE = 8 * 1024**2
MAX_END = 1024**2
# A look that may show less waits for more, unless it can show all there is.
_MIN_LOOK = 4096
# What Airflow writes around a line.
COST_OF_LINE = 200
LAST_WORDS = 10
_LAST_BYTES = 4096
# Lines that are logged before other triggers have their turn.
_LINES_AT_ONCE = 50


class ProgramLog:
    """The part of a run's log that Airflow's log does not have yet.

    Where a program prints more than may be shown, the newest lines are shown and a line says what is missing. How far
    it is shown stands in the workspace, where no program reaches it: neither another triggerer nor another attempt
    repeats it.
    """

    def __init__(self, run: RunFolder, whole: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._whole = whole
        self._clock = clock
        # Read at the first look: the volume may hang.
        self._shown: int | None = None
        self._at = 0
        self._allowance, self._spent, self._counted_at = MAX_BURST, 0, clock()
        self._full = False

    def look(self, ended: bool = False) -> list[str]:
        """Return the lines that are to be shown now; after the program's `end`, the last of all that are left.

        Raise OSError where the log cannot be read; a log that is not there yet has no lines.
        """
        if self._shown is None:
            self._shown = self._at = self._read_shown()
        most = MAX_END if ended else self._refilled()
        with suppress(FileNotFoundError), self._open() as log:
            size = log.seek(0, 2)
            self._at = self._at if self._at <= size else 0  # one that was replaced starts again
            if size == self._at or (most < _MIN_LOOK and not self._fits(size - self._at, most)):
                return self._once_full(size)
            return self._read(log, size, most, ended)
        return []

    def keep(self) -> None:
        """Note that all lines up to here are shown. Raise OSError where that cannot be written."""
        if self._shown is not None and self._at != self._shown:
            write_inside(self._run.root, self._run.shown.name, str(self._at).encode())
            self._shown = self._at

    def last_words(self, learner: int = 1) -> list[str]:
        """Return the last lines of a learner's log that are not empty, without their marks."""
        with suppress(OSError), self._open(learner) as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - _LAST_BYTES))
            data = log.read(_LAST_BYTES)
            if size > _LAST_BYTES:  # it begins in the midst of a line, unless that is all there is
                data = data.partition(b"\n")[2] or data
            lines = [line[2:] for line in split_lines(data, ended=True)[0]]
            return [line for line in lines if line.strip()][-LAST_WORDS:]
        return []

    def _read(self, log: BinaryIO, size: int, most: int, ended: bool) -> list[str]:
        first = max(self._at, size - most)
        log.seek(first)
        data = log.read(most)
        missing = first - self._at
        if missing:  # the rest of a line whose beginning is left out
            torn = data.find(b"\n") + 1
            data, first, missing = data[torn:], first + torn, missing + torn
        lines, whole = split_lines(data, ended)
        shown = self._affordable(lines, most)
        self._at = first + whole
        if missing or len(shown) < len(lines):
            left_out = f"about {missing + sum(map(len, lines[: len(lines) - len(shown)])):,} bytes"
            shown.insert(0, f"The program printed more than is shown here: {left_out} are left out. {self._whole}")
        if not ended:
            self._allowance -= sum(map(_cost, shown))
            self._spent += sum(map(_cost, shown))
        return shown

    def _affordable(self, lines: list[str], most: int) -> list[str]:
        """Return the last lines that cost no more than so much: one of control characters grows as it is escaped."""
        at = len(lines)
        while at and (most := most - _cost(lines[at - 1])) > 0:
            at -= 1
        return lines[at:]

    def _refilled(self) -> int:
        now = self._clock()
        self._allowance = min(MAX_BURST, self._allowance + int((now - self._counted_at) * BYTES_PER_SECOND))
        self._counted_at = now
        return max(0, min(self._allowance, MAX_LOOK, MAX_LIVE - self._spent))

    def _once_full(self, size: int) -> list[str]:
        """Say once that no more is shown before the program's end."""
        if self._full or size == self._at or self._spent < MAX_LIVE - _MIN_LOOK:
            return []
        self._full = True
        return [f"The program has printed too much to show more of it before its end. {self._whole}"]

    @staticmethod
    def _fits(unread: int, most: int) -> bool:
        return unread + COST_OF_LINE * 2 < most

    def _open(self, learner: int = 1) -> BinaryIO:
        run = self._run.of_learner(learner)
        return open_inside(run.logs, run.training_log.relative_to(run.logs).as_posix())

    def _read_shown(self) -> int:
        with suppress(OSError, ValueError):
            return max(0, int(self._run.shown.read_text()))
        return 0


async def show(program: ProgramLog | None, over: asyncio.Event, log: Logger) -> None:
    """Log what a program prints until it is `over`, then the end of it."""
    trouble = ""
    while program:
        ended = over.is_set()
        try:
            lines = await in_thread(program.look, ended)
            for number, line in enumerate(lines, 1):
                log.info(line)
                if number % _LINES_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await in_thread(program.keep)
        except OSError as error:
            if str(error) != trouble:
                log.warning("The program's log cannot be shown here: %s", error.strerror)
            trouble = str(error)
        if ended:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), POLL_SECONDS)


def _cost(line: str) -> int:
    return len(line) + COST_OF_LINE
