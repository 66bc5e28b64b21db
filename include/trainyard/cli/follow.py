"""A run's log to its end, and how the run ended."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import typer

from trainyard.answers.runs import RunAnswer, RunDetails, Submitted
from trainyard.cli.logtext import write_log
from trainyard.cli.output import Screen, if_interrupted, one_line, remark
from trainyard.cli.waiting import wait_for
from trainyard.client.following import followed_log, interleaved
from trainyard.client.reading import failure_of
from trainyard.client.rest import RestClient
from trainyard.client.waiting import patient
from trainyard.errors import TrainyardError

# Between two looks at a run that waits.
_POLL_SECONDS = 1.0
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


def follow_to_end(service: RestClient, answer: Submitted, screen: Screen) -> None:
    """Show a run's log, or of several runs how each goes on, until all have ended.

    Raise the failure of the run, or of the first that failed; with JSON end the command with 1.
    """
    shown = _follow_one(service, answer, screen) if len(answer.all_ids) == 1 else _follow_all(service, answer, screen)
    failures = [failure for failure in map(failure_of, shown) if failure]
    if failures and screen.json:
        raise typer.Exit(1)
    if failures:
        raise failures[0]
    names = ", ".join(f"'{run.model_id}'" for run in shown)
    screen.say("OK", f"Run {names} is completed" if len(shown) == 1 else f"All {len(shown)} runs are completed")


def _follow_one(service: RestClient, answer: Submitted, screen: Screen) -> Sequence[RunAnswer]:
    model_id = answer.model_id
    with if_interrupted(f"The run goes on: `trainyard logs --follow {model_id}`, `trainyard cancel {model_id}`."):
        write_log(whole_lines(follow_log(service, model_id)), sys.stderr if screen.json else sys.stdout)
        run = final_run(service, model_id)
    screen.data({**answer.as_data(), "run": run.as_data()})
    return [run]


def _follow_all(service: RestClient, answer: Submitted, screen: Screen) -> Sequence[RunAnswer]:
    """Say on stderr what each run does whenever that changes, until all have ended."""
    ids, known, asking = answer.all_ids, dict[str, RunAnswer](), _together(service, answer.all_ids)
    with if_interrupted("The runs go on: `trainyard list --watch`."):
        looking = patient(asking, answered=True)
        while not all(known[each].ended for each in ids if each in known) or len(known) < len(ids):
            for run in looking() or ():
                before = known.get(run.model_id)
                if before is None or (before.state, before.phase) != (run.state, run.phase):
                    remark(f"{run.model_id}: {run.state if run.ended else run.phase}")
                known[run.model_id] = run
            time.sleep(_POLL_SECONDS)
    shown = [known[each] for each in ids]
    screen.data({**answer.as_data(), "runs": [run.as_data() for run in shown]})
    return shown


def _together(service: RestClient, ids: Sequence[str]) -> Callable[[], list[RunAnswer]]:
    """Return what looks at many runs at once: they were submitted together, so that a list has them all."""
    since = service.run(ids[0]).submitted_at
    return lambda: [run for run in service.runs({"since": since}) if run.model_id in set(ids)]


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
            if begun.wait(0 if waiting != reported else _POLL_SECONDS):
                return
            if waiting != reported:
                remark(f"{model_id}: {one_line(waiting)}")
                reported = waiting
