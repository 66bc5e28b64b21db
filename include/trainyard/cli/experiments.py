"""`trainyard experiments run ID`."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import Output, QuickCommand, QuickGroup, Url

ExperimentId = Annotated[
    str, typer.Argument(metavar="ID", help="The id that `trainyard store experiments` printed.", show_default=False)
]
experiments = typer.Typer(
    cls=QuickGroup, rich_markup_mode=None, no_args_is_help=True, help="Run an experiment that was stored."
)


@experiments.command("run", cls=QuickCommand)
def run_experiment(experiment_id: ExperimentId, url: Url = None, output: Output = "text") -> None:
    """Run a stored experiment: each of its trainings becomes a run, or a search for hyperparameters."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen

    screen = Screen(output)
    with open_service(url) as service:
        screen.say(f"Starting to run the experiment with ID '{experiment_id}' ...")
        run = service.documents.run(experiment_id)
    screen.say("OK", f"Experiment-run created with ID '{run.id}'")
    screen.data(run.as_data())
