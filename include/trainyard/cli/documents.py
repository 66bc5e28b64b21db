"""What `list`, `show`, `delete` and `cancel` do with stored documents and with the runs of experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trainyard.cli.options import DEFINITIONS, DOCUMENT_NOUNS, EXPERIMENT_RUNS, EXPERIMENTS, opened
from trainyard.client.errors import WrongUsageError

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

# How many ids the words after a noun are, for one thing of its kind.
_IDS = {DEFINITIONS: ("ID",), EXPERIMENTS: ("ID",), EXPERIMENT_RUNS: ("EXPERIMENT", "RUN")}
_KINDS = {DEFINITIONS: "training_definitions", EXPERIMENTS: "experiments"}


def ids_of(command: str, noun: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that follow a noun; raise WrongUsageError where there are not as many as it needs."""
    wanted = _IDS[noun]
    if len(words) != len(wanted):
        raise WrongUsageError(
            f"{command} {noun} needs {' and '.join(wanted)}", f"Use `trainyard {command} {noun} {' '.join(wanted)}`."
        )
    return tuple(words)


def list_documents(service: RestClient, screen: Screen, noun: str) -> None:
    from trainyard.cli.documenttext import document_table

    screen.say(f"Fetching the list of {noun} ...")
    found = [each.as_data() for each in service.documents.all(_KINDS[noun])]
    _ended(screen, document_table(found), noun, found)


def list_experiment_runs(service: RestClient, screen: Screen, experiment_id: str) -> None:
    from trainyard.cli.documenttext import experiment_run_table

    screen.say(f"Fetching the list of {EXPERIMENT_RUNS} ...")
    found = [each.as_data() for each in service.documents.runs(experiment_id)]
    _ended(screen, experiment_run_table(found, screen.state), EXPERIMENT_RUNS, found)


def list_trainings(service: RestClient, screen: Screen, experiment_id: str, run_id: str) -> None:
    """List the trainings of an experiment's run, in the table of 2017."""
    from trainyard.cli.tables import run_table

    screen.say("Fetching the list of training-runs ...")
    found = [each.as_data() for each in service.documents.experiment_run(experiment_id, run_id).trainings]
    _ended(screen, run_table(found, screen.state), "training-runs", found)


def show_document(service: RestClient, screen: Screen, noun: str, words: Sequence[str]) -> None:
    from trainyard.cli.documenttext import document_rows, experiment_run_rows

    ids = ids_of("show", noun, words)
    screen.say(f"Fetching the {noun} details with ID '{ids[-1]}' ...")
    if noun == EXPERIMENT_RUNS:
        found = service.documents.experiment_run(*ids).as_data()
        screen.say(*experiment_run_rows(found, screen.state))
    else:
        found = service.documents.one(_KINDS[noun], ids[0]).as_data()
        screen.say(*document_rows(found))
    screen.say("OK", f"Show {noun} details successful")
    screen.data(found)


def delete_document(service: RestClient, screen: Screen, noun: str, words: Sequence[str]) -> None:
    ids = ids_of("delete", noun, words)
    screen.say(f"Deleting the {noun.removesuffix('s')} '{ids[-1]}' ...")
    if noun == EXPERIMENT_RUNS:
        service.documents.delete_run(*ids)
    else:
        service.documents.delete(_KINDS[noun], ids[0])
    screen.say("OK", f"Delete {noun} successful")
    screen.data({"id": ids[-1], "deleted": True})


def cancel_document(service: RestClient, screen: Screen, noun: str, words: Sequence[str]) -> None:
    """Cancel the run of an experiment; raise WrongUsageError for a document, which does not go."""
    if noun != EXPERIMENT_RUNS:
        hint = f"Use `trainyard cancel {EXPERIMENT_RUNS} EXPERIMENT RUN`, or `trainyard delete {noun} ID`."
        raise WrongUsageError(f"{noun} cannot be canceled", hint)
    ids = ids_of("cancel", noun, words)
    screen.say(f"Canceling the experiment-run '{ids[-1]}' ...")
    found = service.documents.cancel_run(*ids)
    screen.say("OK", f"Cancel {noun} successful")
    screen.data(found.as_data())


Action = Callable[["RestClient", "Screen", str, Sequence[str]], None]


def on_document(words: Sequence[str], action: Action, url: str | None, output: str) -> bool:
    """Do something with what the words name if they begin with the noun of a document; return whether they do."""

    if words[0] not in DOCUMENT_NOUNS:
        return False
    with opened(url, output) as (service, screen):
        action(service, screen, words[0], words[1:])
    return True


def _ended(screen: Screen, table: list[str], noun: str, found: list[dict[str, Any]]) -> None:
    screen.say(*table, "", f"{len(found)} records found.", "OK", f"List all {noun} successful")
    screen.data({"resources": found, "total": len(found)})
