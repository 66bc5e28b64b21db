"""`trainyard delete [trained-models] ID…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.completing import experiment_words, run_words
from trainyard.cli.options import NAMES_OR_DOCUMENT, Output, Url

if TYPE_CHECKING:
    from trainyard.client.rest import RestClient

_GOING = "C108"


def delete(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help=NAMES_OR_DOCUMENT, show_default=False, autocompletion=run_words),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="All runs of this experiment.", show_default=False, autocompletion=experiment_words
        ),
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Remove them at once, so that undelete brings none back; also deleted ones.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking, also of a run that is going.")] = False,
    timeout: Annotated[
        str, typer.Option(metavar="SECONDS", help="How long a run that is stopped may take to store its results.")
    ] = "900",
    url: Url = None,
    output: Output = "text",
) -> None:
    """Delete runs from the history. The trained models and the logs in the bucket stay.

    `trainyard undelete ID` brings them back, for a day unless the service is set otherwise. On a terminal it asks
    first. A run that is still going is stopped, always after a question. With the noun of a stored document that is
    removed for good: `delete experiments ID`, `delete training-definitions ID`; `delete experiment-runs EXPERIMENT
    RUN` deletes its runs.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.documents import delete_document, on_document
    from trainyard.cli.naming import runs_named
    from trainyard.cli.output import Screen, remark
    from trainyard.cli.several import do_each
    from trainyard.client.errors import WrongUsageError

    if bool(words) == bool(experiment):
        raise WrongUsageError("either runs or an experiment are deleted", "Give ids, or --experiment NAME.")
    if words and on_document(words, delete_document, url, output):
        return
    screen, seconds = Screen(output), _seconds(timeout)

    def remove(model_id: str) -> dict[str, Any]:
        screen.say(f"Deleting the trained model '{model_id}' ...")
        until = _deleted(service, model_id, now)
        stopped = until is None
        if until is None:
            _ask(model_id, yes)
            until = _stop_and_delete(service, model_id, seconds, now)
        screen.say("OK", "Delete trained-models successful")
        if until and not screen.json:  # not on stdout, which is as in 2017
            remark(f"`trainyard undelete {model_id}` brings it back until {until}")
        return {"model_id": model_id, "deleted": True, "stopped": stopped, "until": until or None}

    with open_service(url) as service:
        ids = _of_experiment(service, experiment) if experiment else runs_named(service, words or [])
        if not ids:
            screen.say(f"{experiment} has no run.")
        if not yes and ids:
            _ask_first(service, ids)
        do_each(ids, remove, screen)


def _ask_first(service: RestClient, ids: list[str]) -> None:
    """Ask on a terminal, where an id is mistyped sooner than in a script; a run that is going has its own question."""
    import sys

    from trainyard.cli.asking import ask

    if sys.stdin.isatty() and (len(ids) > 1 or service.run(ids[0]).ended):
        which = ids[0] if len(ids) == 1 else f"these {len(ids)} runs"
        ask(f"Delete {which}?", ("", ""), "nothing is deleted")


def _of_experiment(service: RestClient, experiment: str) -> list[str]:
    return [run.model_id for run in service.runs({"experiment": experiment})]


def _deleted(service: RestClient, model_id: str, now: bool) -> str | None:
    """Delete the run; return until when it can be brought back, empty for never, None where it is still going."""
    from trainyard.errors import TrainyardError

    try:
        return service.delete(model_id, now) or ""
    except TrainyardError as error:
        if error.code.code == _GOING:
            return None
        raise


def _ask(model_id: str, yes: bool) -> None:
    from trainyard.cli.asking import ask

    if not yes:
        ask(
            f"{model_id} is still going. Stop and delete it?",
            (f"{model_id} is still going", "Stop and delete it with --yes, or wait until it has ended."),
            f"{model_id} goes on and is not deleted",
        )


def _stop_and_delete(service: RestClient, model_id: str, seconds: float, now: bool) -> str:
    from trainyard.cli.output import if_interrupted
    from trainyard.cli.waiting import wait_for
    from trainyard.client.waiting import patient
    from trainyard.errors import TrainyardError

    later = f"`trainyard delete {model_id}` removes it once it has stopped."
    with if_interrupted(f"{model_id} is being stopped. {later}"):
        _cancel(service, model_id)
        look = patient(lambda: _deleted(service, model_id, now), answered=True)
        until = wait_for(look, seconds, f"Stopping {model_id} ...")
        if until is None:
            raise TrainyardError(_GOING, f"{model_id} is being stopped and has not ended in {seconds:g} seconds", later)
        return until


def _cancel(service: RestClient, model_id: str) -> None:
    """Cancel the run; one that ended in this very moment is as good."""
    from trainyard.errors import TrainyardError

    try:
        service.cancel(model_id)
    except TrainyardError as error:
        if error.code.code != _GOING:
            raise


def _seconds(text: str) -> float:
    from trainyard.client.errors import WrongUsageError

    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise WrongUsageError(f"--timeout cannot be {text!r}", "Give a number of seconds, such as 900.")
    return seconds
