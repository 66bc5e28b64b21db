"""Waiting with a limit: shown on a terminal, and never for ever."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from trainyard.client.waiting import wait_until

T = TypeVar("T")
Progress = Callable[[int], None]
# A smaller transfer is over before a bar could be read.
_BAR_BYTES = 4 * 1024**2


class Upload:
    """How far an upload has come."""

    def __init__(self, size: int, bar: Progress | None) -> None:
        self._size, self._bar, self._gone = size, bar, 0

    def __call__(self, gone: int) -> None:
        self._gone = gone
        if self._bar:
            self._bar(gone)

    @property
    def whole(self) -> bool:
        return self._gone >= self._size


def wait_for(look: Callable[[], T | None], seconds: float, message: str) -> T | None:
    """Look again and again until there is something; return None when the time is over."""
    with spinner(message):
        return wait_until(look, seconds)


def spinner(message: str) -> AbstractContextManager[object]:
    """Show on a terminal's stderr that something goes on."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(message)


@contextmanager
def transfer_bar(size: int, what: str) -> Iterator[Progress | None]:
    """Show on a terminal's stderr how much of a big transfer is done; it vanishes when all is."""
    if not sys.stderr.isatty() or size < _BAR_BYTES:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    shown = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=size)
        yield lambda done: bar.update(task, completed=done)
