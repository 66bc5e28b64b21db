"""`trainyard schedules`."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import Output, Url

_ENDED = "ended"


def schedules(
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show also those that have ended.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """List the schedules: which trainings are trained again, and when next."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen
    from trainyard.cli.tables import schedule_table

    screen = Screen(output)
    with open_service(url) as service:
        screen.say("Fetching the list of schedules ...")
        found = [row.as_data() for row in service.schedules()]
    shown = [schedule for schedule in found if everything or schedule.get("state") != _ENDED]
    hidden = len(found) - len(shown)
    screen.say(*schedule_table(shown), "", f"{len(shown)} records found.")
    if hidden:
        screen.say(f"{hidden} more have ended; --all shows them.")
    screen.say("OK", "List all schedules successful")
    screen.data({"resources": shown, "total": len(shown)})
