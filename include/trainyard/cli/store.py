"""`trainyard store training-definitions ZIP FILE`, `store experiments FILE` and `experiments run ID`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import DEFINITIONS, EXPERIMENTS, Output, Url, opened

if TYPE_CHECKING:
    from trainyard.answers.documents import DocumentDetails
    from trainyard.client.rest import RestClient

_USAGE = f"Use `trainyard store {DEFINITIONS} ZIP FILE` or `trainyard store {EXPERIMENTS} FILE`."

ExperimentId = Annotated[
    str, typer.Argument(metavar="ID", help="The id that `trainyard store experiments` printed.", show_default=False)
]


Documents = Annotated[
    list[str],
    typer.Argument(metavar="[PROGRAM] FILE", help="The document; a training definition's zip or folder before it."),
]
Payer = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Whose it is. Default: your first account.")
]


def store_definition(files: Documents, account: Payer = None, url: Url = None, output: Output = "text") -> None:
    """Store a training definition of 2018 with its zip or folder, and print its id."""
    _store(DEFINITIONS, files, account, url, output)


def store_experiment(files: Documents, account: Payer = None, url: Url = None, output: Output = "text") -> None:
    """Store an experiment of stored definitions and print its id; `trainyard experiments run ID` runs it."""
    _store(EXPERIMENTS, files, account, url, output)


def _store(noun: str, files: list[str], account: str | None, url: str | None, output: str) -> None:
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen
    from trainyard.client.errors import WrongUsageError

    screen = Screen(output)
    if (noun, len(files)) not in ((DEFINITIONS, 2), (EXPERIMENTS, 1)):
        raise WrongUsageError(f"{noun} with {len(files)} files cannot be stored", _USAGE)
    with open_service(url) as service:
        screen.say(f"Creating {'training-definition' if noun == DEFINITIONS else 'experiment'} ...")
        made = (_definition if noun == DEFINITIONS else _experiment)(service, files, account or "")
    screen.warn(made.warnings)
    screen.say("OK")
    if noun == DEFINITIONS:
        screen.say(f"training-definition ID is '{made.id}' and version ID is '{made.version_id}'")
    else:
        screen.say(f"Experiment created with ID '{made.id}'")
    screen.data(made.as_data())


def run_experiment(experiment_id: ExperimentId, url: Url = None, output: Output = "text") -> None:
    """Run a stored experiment: each of its trainings becomes a run, or a search for hyperparameters."""
    with opened(url, output) as (service, screen):
        screen.say(f"Starting to run the experiment with ID '{experiment_id}' ...")
        run = service.documents.run(experiment_id)
    screen.say("OK", f"Experiment-run created with ID '{run.id}'")
    screen.data(run.as_data())


def _definition(service: RestClient, files: list[str], account: str) -> DocumentDetails:
    from trainyard.cli.errors import naming
    from trainyard.cli.files import handed_in
    from trainyard.cli.waiting import Upload, transfer_bar

    with handed_in(files[0], files[1:]) as handed:
        zip_path = handed.program.zip
        size = zip_path.stat().st_size
        with naming(handed.files), transfer_bar(size, "upload") as bar:
            return service.documents.store_definition(handed.manifests[0], zip_path, account, Upload(size, bar))


def _experiment(service: RestClient, files: list[str], account: str) -> DocumentDetails:
    from trainyard.cli.errors import Files, naming
    from trainyard.cli.files import called, read_manifest_file

    text = read_manifest_file(files[0])
    with naming(Files(called(files[0]))):
        return service.documents.store_experiment((called(files[0]), text), account)
