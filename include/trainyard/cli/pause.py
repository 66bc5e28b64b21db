"""`trainyard pause ID`."""

from __future__ import annotations

from trainyard.cli.options import Output, TrainingId, Url


def pause(training_id: TrainingId, url: Url = None, output: Output = "text") -> None:
    """Pause a schedule: nothing is started until it is resumed. Runs that are going are left alone."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen
    from trainyard.cli.standing import change

    screen = Screen(output)
    with open_service(url) as service:
        screen.say(f"Pausing the schedule of '{training_id}' ...")
        change(service, screen, training_id, "paused", "Pause")
