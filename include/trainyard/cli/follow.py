"""A run's log to its end, and how the run ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from trainyard.answers.runs import RunDetails
from trainyard.cli.output import one_line, remark
from trainyard.cli.waiting import wait_for
from trainyard.client.following import followed_log, interleaved
from trainyard.client.rest import RestClient
from trainyard.client.waiting import patient
from trainyard.errors import TrainyardError

# Between two looks at a run that waits.
_LOOK_SECONDS = 1.0
# What comes after the log: results are stored, however many there are.
_STORING_SECONDS = 24 * 3600.0


def follow_log(
    service: RestClient, model_id: str, last: int | None = None, learner: int | None = None
) -> Iterator[bytes]:
    """Yield the log until the service says it is complete, each byte once, over connections that break.

    With `last` it begins with so many lines. Of several learners it is that of `learner`, else of all, line by line.
    What the run waits for before it writes is reported on stderr.
    """
    with _telling_what_it_waits_for(service, model_id) as begun:
        for chunk in log_of(followed_log, service, model_id, last, learner):
            begun.set()
            yield chunk


def log_of(
    read: Callable[..., Iterator[bytes]], service: RestClient, model_id: str, last: int | None, learner: int | None
) -> Iterator[bytes]:
    """Yield what `read` reads of a run's log: that of a learner, else of the only one, or of all with their numbers."""
    learners = 1 if learner else service.run(model_id).learners
    if learners == 1:
        return read(service, model_id, last, learner or 1)
    return interleaved([read(service, model_id, last, number) for number in range(1, learners + 1)])


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass a log on, and end its last line where the program did not."""
    last = b"\n"
    for chunk in chunks:
        last = chunk
        yield chunk
    if not last.endswith(b"\n"):
        yield b"\n"


def final_run(service: RestClient, model_id: str) -> RunDetails:
    """Wait until a run has ended and return it."""

    def look() -> RunDetails | None:
        run = service.run(model_id)
        return run if run.ended else None

    run = wait_for(patient(look, answered=True), _STORING_SECONDS, "Storing the results ...")
    if run is None:
        raise TrainyardError("S500", f"{model_id} does not end", f"Look at it with `trainyard show {model_id}`.")
    return run


@contextmanager
def _telling_what_it_waits_for(service: RestClient, model_id: str) -> Iterator[threading.Event]:
    """Look at the run beside the log until the event is set, so that neither has to wait for the other."""
    begun = threading.Event()
    threading.Thread(target=_tell_waiting, args=(service, model_id, begun), daemon=True).start()
    try:
        yield begun
    finally:
        begun.set()


def _tell_waiting(service: RestClient, model_id: str, begun: threading.Event) -> None:
    """Say what a run waits for whenever that changes, until it waits for nothing; trouble is the log's to tell."""
    reported = ""
    with suppress(TrainyardError, RuntimeError):  # the second one if the command ends meanwhile
        while waiting := service.run(model_id).waiting:
            if begun.wait(0 if waiting != reported else _LOOK_SECONDS):
                return
            if waiting != reported:
                remark(f"{model_id}: {one_line(waiting)}")
                reported = waiting
