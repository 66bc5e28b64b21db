"""`trainyard schedules`, `pause`, `resume` and `unschedule`: which trainings are trained again, and whether."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.options import Output, TrainingId, Url, opened

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

_ENDED = "ended"


def schedules(
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show also those that have ended.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """List the schedules: which trainings are trained again, and when next."""
    from trainyard.cli.tables import schedule_table

    with opened(url, output) as (service, screen):
        screen.say("Fetching the list of schedules ...")
        found = [row.as_data() for row in service.schedules()]
    shown = [schedule for schedule in found if everything or schedule.get("state") != _ENDED]
    hidden = len(found) - len(shown)
    screen.say(*schedule_table(shown), "", f"{len(shown)} records found.")
    if hidden:
        screen.say(f"{hidden} more have ended; --all shows them.")
    screen.say("OK", "List all schedules successful")
    screen.data({"resources": shown, "total": len(shown)})


def pause(training_id: TrainingId, url: Url = None, output: Output = "text") -> None:
    """Pause a schedule: nothing is started until it is resumed. Runs that are going are left alone."""
    from trainyard.cli.naming import training_named

    with opened(url, output) as (service, screen):
        training_id = training_named(service, training_id)
        screen.say(f"Pausing the schedule of '{training_id}' ...")
        _change(service, screen, training_id, "paused", "Pause")


def resume(training_id: TrainingId, url: Url = None, output: Output = "text") -> None:
    """Go on with a schedule that was paused. What was due during the pause is not made up for."""
    from trainyard.cli.naming import training_named

    with opened(url, output) as (service, screen):
        training_id = training_named(service, training_id)
        screen.say(f"Resuming the schedule of '{training_id}' ...")
        _change(service, screen, training_id, "active", "Resume")


def unschedule(
    training_id: TrainingId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="End it without asking.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """End a schedule for good, after a question. Its runs and their results stay, also one that is going."""
    from trainyard.cli.naming import training_named

    with opened(url, output) as (service, screen):
        training_id = training_named(service, training_id)
        screen.say(f"Ending the schedule of '{training_id}' ...")
        if not yes:
            _ask(service, training_id)
        _change(service, screen, training_id, _ENDED, "End")


def _ask(service: RestClient, training_id: str) -> None:
    from trainyard.cli.asking import ask
    from trainyard.cli.output import one_line
    from trainyard.errors import TrainyardError

    found = service.schedule(training_id)
    if found.state == _ENDED:
        raise TrainyardError("C111", f"the schedule of {training_id} has ended", "Submit the training again.")
    named = one_line(f"'{found.name}' ({found.schedule})")
    ask(
        f"A schedule that is ended cannot be resumed. End that of {named}?",
        ("a schedule that is ended cannot be resumed", "End it with --yes, or use `trainyard pause`."),
        f"the schedule of {training_id} is not ended",
    )


def _change(service: RestClient, screen: Screen, training_id: str, state: str, verb: str) -> None:
    """Bring a schedule into a state, and show what became of it."""
    from trainyard.cli.columns import pairs

    schedule = service.change_schedule(training_id, state).as_data()
    screen.say(*pairs(_rows(schedule)), "OK", f"{verb} schedule successful")
    screen.data(schedule)


def _rows(schedule: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("State", str(schedule["state"])), ("Next_at", str(schedule.get("next_at") or ""))]
    return [row for row in rows if row[1]]
