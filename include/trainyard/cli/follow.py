"""A run's log to its end, and how the run ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from trainyard.cli.client import FrontDoor
from trainyard.cli.errors import UnreachableError
from trainyard.cli.waiting import pauses, wait_for
from trainyard.domain.states import State
from trainyard.errors import CODES, TrainyardError

# With the pauses between them, longer than a service takes to start again.
_ATTEMPTS = 20
# A connection that stood this long was a good one: a proxy cuts what is silent, and a waiting run is.
_LASTED_SECONDS = 20.0
# What comes after the log: results are stored, however many there are.
_STORING_SECONDS = 24 * 3600.0


def follow_log(door: FrontDoor, model_id: str) -> Iterator[bytes]:
    """Yield the log until the service says it is complete, each byte once, over connections that break."""
    seen, attempts, pause = 0, _ATTEMPTS, pauses()
    while True:
        begun = time.monotonic()
        try:
            for chunk in _after(seen, door.log(model_id, follow=True)):
                seen, attempts, pause = seen + len(chunk), _ATTEMPTS, pauses()
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
    return TrainyardError(str(code), str(message), str(outcome.get("cure") or ""))


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


def _after(seen: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out the bytes that were seen before the connection broke."""
    for chunk in chunks:
        fresh = chunk[seen:]
        seen = max(seen - len(chunk), 0)
        if fresh:
            yield fresh
