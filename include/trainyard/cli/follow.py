"""A run's log to its end, and how the run ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from trainyard.cli.client import FrontDoor
from trainyard.cli.errors import UnreachableError
from trainyard.cli.output import one_line, remark
from trainyard.cli.waiting import pauses, wait_for
from trainyard.domain.states import State
from trainyard.errors import CODES, TrainyardError, hint_of

# With the pauses between them, longer than a service takes to start again.
_ATTEMPTS = 20
# A connection that stood this long was a good one: a proxy cuts what is silent, and a waiting run is.
_LASTED_SECONDS = 20.0
# Between two looks at a run that waits.
_LOOK_SECONDS = 1.0
# What comes after the log: results are stored, however many there are.
_STORING_SECONDS = 24 * 3600.0


def follow_log(door: FrontDoor, model_id: str, last: int | None = None) -> Iterator[bytes]:
    """Yield the log until the service says it is complete, each byte once, over connections that break.

    With `last` it begins with so many lines. What the run waits for before it writes is told on stderr.
    """
    with _telling_what_it_waits_for(door, model_id) as begun:
        for chunk in _followed(door, model_id, last):
            begun.set()
            yield chunk


def _followed(door: FrontDoor, model_id: str, last: int | None) -> Iterator[bytes]:
    place: int | None = None
    attempts, pause = _ATTEMPTS, pauses()
    while True:
        begun = time.monotonic()
        wanted = {"last": last} if place is None else {"offset": place}
        try:
            with door.log(model_id, follow=True, **wanted) as (place, chunks):
                for chunk in chunks:
                    place += len(chunk)
                    attempts, pause = _ATTEMPTS, pauses()
                    yield chunk
        except UnreachableError:
            attempts = _ATTEMPTS if time.monotonic() - begun > _LASTED_SECONDS else attempts - 1
            if not attempts:
                raise
            time.sleep(next(pause))
        else:
            return


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass a log on, and end its last line where the program did not."""
    last = b"\n"
    for chunk in chunks:
        last = chunk
        yield chunk
    if not last.endswith(b"\n"):
        yield b"\n"


def final_run(door: FrontDoor, model_id: str) -> dict[str, Any]:
    """Wait until a run has ended and return it."""

    def look() -> dict[str, Any] | None:
        run = door.run(model_id)
        return run if has_ended(run) else None

    run = wait_for(patient(look), _STORING_SECONDS, "Storing the results ...")
    if run is None:
        raise TrainyardError("S500", f"{model_id} does not end", f"Look at it with `trainyard show {model_id}`.")
    return run


def has_ended(run: dict[str, Any]) -> bool:
    return run["state"] in {state for state in State if state.terminal}


def failure_of(run: dict[str, Any]) -> TrainyardError | None:
    """Return why a run that has ended is not completed; None for one that is."""
    if run["state"] == State.COMPLETED:
        return None
    outcome = run.get("outcome") or {}
    canceled = run["state"] == State.CANCELED
    code = outcome.get("code") if outcome.get("code") in CODES else ("C204" if canceled else "S500")
    message = outcome.get("message") or ("the run was canceled" if canceled else "the run ended in error")
    return TrainyardError(str(code), str(message), str(hint_of(outcome) or ""))


def patient(look: Any) -> Any:
    """Let a look at the service fail as often as a service that is started again makes it fail."""
    left = _ATTEMPTS

    def patiently() -> Any:
        nonlocal left
        try:
            found = look()
        except UnreachableError:
            left -= 1
            if not left:
                raise
            return None
        left = _ATTEMPTS
        return found

    return patiently


@contextmanager
def _telling_what_it_waits_for(door: FrontDoor, model_id: str) -> Iterator[threading.Event]:
    """Look at the run beside the log until the event is set, so that neither has to wait for the other."""
    begun = threading.Event()
    threading.Thread(target=_tell_waiting, args=(door, model_id, begun), daemon=True).start()
    try:
        yield begun
    finally:
        begun.set()


def _tell_waiting(door: FrontDoor, model_id: str, begun: threading.Event) -> None:
    """Say what a run waits for whenever that changes, until it waits for nothing; trouble is the log's to tell."""
    told = ""
    with suppress(TrainyardError, RuntimeError):  # the second one if the command ends meanwhile
        while waiting := str(door.run(model_id).get("waiting") or ""):
            if begun.wait(0 if waiting != told else _LOOK_SECONDS):
                return
            if waiting != told:
                remark(f"{model_id}: {one_line(waiting)}")
                told = waiting
