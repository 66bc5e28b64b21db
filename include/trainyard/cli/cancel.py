"""`trainyard cancel [trained-models] ID`."""

from __future__ import annotations

from trainyard.cli.options import ModelId, Output, Url


def cancel(model_id: ModelId, url: Url = None, output: Output = "text") -> None:
    """Stop a run. What it has made so far is still stored in the bucket, and its history stays."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen
    from trainyard.cli.tables import pairs

    screen = Screen(output)
    with open_service(url) as service:
        screen.say(f"Canceling the trained model '{model_id}' ...")
        run = service.cancel(model_id)
    screen.say(*pairs([("State", screen.state(run.state))]), "OK", "Cancel trained-models successful")
    screen.data(run.as_data())
