"""`trainyard unschedule ID`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import Output, TrainingId, Url

if TYPE_CHECKING:
    from trainyard.client.rest import RestClient


def unschedule(
    training_id: TrainingId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="End it without asking.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """End a schedule for good, after a question. Its runs and their results stay, also one that is going."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen
    from trainyard.cli.standing import change

    screen = Screen(output)
    with open_service(url) as service:
        screen.say(f"Ending the schedule of '{training_id}' ...")
        if not yes:
            _ask(service, training_id)
        change(service, screen, training_id, "ended", "End")


def _ask(service: RestClient, training_id: str) -> None:
    from trainyard.cli.asking import ask
    from trainyard.cli.output import one_line
    from trainyard.errors import TrainyardError

    found = service.schedule(training_id)
    if found.state == "ended":
        raise TrainyardError("C111", f"the schedule of {training_id} has ended", "Submit the training again.")
    named = one_line(f"'{found.name}' ({found.schedule})")
    ask(
        f"A schedule that is ended cannot be resumed. End that of {named}?",
        ("a schedule that is ended cannot be resumed", "End it with --yes, or use `trainyard pause`."),
        f"the schedule of {training_id} is not ended",
    )
