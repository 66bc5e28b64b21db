"""Checks side by side: none waits for another, none takes another down, each has its time limit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from trainyard.domain.finding import Finding, wrong
from trainyard.errors import TrainyardError

log = logging.getLogger(__name__)
_ASK = "Look at the log of the process that ran the check."


@dataclass(frozen=True)
class Check:
    """One check. `look` returns its findings, and hears from the event that nobody waits for them any more.

    A check that leaves things behind until it has ended is waited for `tidy_seconds` more, whatever happens.
    """

    name: str
    look: Callable[[Event], Iterable[Finding]]
    seconds: float = 20
    tidy_seconds: float = 0
    hint: str = "Find out what it waits for; a network that drops packets looks like this."


class _Looking:
    """A check that is on its way, in a thread that ends with the process."""

    def __init__(self, check: Check, stop: Event) -> None:
        self._check = check
        self._found: SimpleQueue[list[Finding]] = SimpleQueue()
        self._deadline = time.monotonic() + check.seconds
        self._thread = Thread(target=self._look, args=(stop,), daemon=True, name=f"doctor: {check.name}")
        self._thread.start()

    def findings(self) -> list[Finding]:
        try:
            return self._found.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except Empty:
            message = f"there was no answer within {self._check.seconds:g} seconds"
            return [wrong(self._check.name, message, self._check.hint)]

    def tidy(self) -> None:
        self._thread.join(self._check.tidy_seconds)

    def _look(self, stop: Event) -> None:
        try:
            self._found.put(list(self._check.look(stop)))
        except TrainyardError as error:
            self._found.put([wrong(self._check.name, error.message, error.hint)])
        except Exception as error:
            # Whatever it is, it is one line. Its text is left out: it might hold a URL with a password.
            log.exception("The check %s broke down", self._check.name)
            self._found.put([wrong(self._check.name, f"the check broke down: {type(error).__name__}", _ASK)])


def examine(checks: Sequence[Check]) -> Generator[Finding, None, None]:
    """Run the checks side by side and yield what they find in their order, each once those before it are known."""
    stop = Event()
    looking = [_Looking(check, stop) for check in checks]
    try:
        for each in looking:
            yield from each.findings()
    finally:
        stop.set()
        for each in looking:
            each.tidy()
