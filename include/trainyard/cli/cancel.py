"""`trainyard cancel [trained-models] ID…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.completing import experiment_words, run_words
from trainyard.cli.options import NAMES_OR_DOCUMENT, Output, Url

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

# There is none of this name, or it is over.
_NO_SEARCH_GOES_ON = ("C107", "C111")


def cancel(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help=NAMES_OR_DOCUMENT, show_default=False, autocompletion=run_words),
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="All runs of this experiment that have not ended.",
            show_default=False,
            autocompletion=experiment_words,
        ),
    ] = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Stop runs. What they have made so far is still stored in the bucket, and their history stays.

    With --experiment its searches start no run any more.
    `cancel experiment-runs EXPERIMENT RUN` stops all trainings of an experiment's run.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.columns import pairs
    from trainyard.cli.documents import cancel_document, on_document
    from trainyard.cli.naming import runs_named
    from trainyard.cli.output import Screen
    from trainyard.cli.several import do_each
    from trainyard.client.errors import WrongUsageError

    if bool(words) == bool(experiment):
        raise WrongUsageError("either runs or an experiment are canceled", "Give ids, or --experiment NAME.")
    if words and on_document(words, cancel_document, url, output):
        return
    screen = Screen(output)

    def stop(model_id: str) -> dict[str, Any]:
        screen.say(f"Canceling the trained model '{model_id}' ...")
        run = service.cancel(model_id)
        screen.say(*pairs([("State", screen.state(run.state))]), "OK", "Cancel trained-models successful")
        return run.as_data()

    with open_service(url) as service:
        ids = _of_experiment(service, experiment, screen) if experiment else runs_named(service, words or [])
        if not ids:
            screen.say(f"No run of {experiment} is going.")
        do_each(ids, stop, screen)


def _of_experiment(service: RestClient, experiment: str, screen: Screen) -> list[str]:
    """End the searches of an experiment and return its runs that have not ended, those first that have not begun.

    A search that went on would start other runs in the place of those that are canceled.
    """
    from trainyard.errors import TrainyardError

    runs = service.runs({"experiment": experiment, "state": ["pending", "running"]})
    for name in dict.fromkeys([experiment, *(run.training_id for run in runs)]):
        try:
            service.change_search(name, "canceled")
        except TrainyardError as error:
            if error.code.code not in _NO_SEARCH_GOES_ON:
                raise
        else:
            screen.say(f"The search of {experiment} starts no run any more.")
    return [run.model_id for run in sorted(runs, key=lambda run: run.state)]
