"""`trainyard resume ID`."""

from __future__ import annotations

from trainyard.cli.options import Output, TrainingId, Url


def resume(training_id: TrainingId, url: Url = None, output: Output = "text") -> None:
    """Go on with a schedule that was paused. What was due during the pause is not made up for."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen
    from trainyard.cli.standing import change

    screen = Screen(output)
    with open_service(url) as service:
        screen.say(f"Resuming the schedule of '{training_id}' ...")
        change(service, screen, training_id, "active", "Resume")
