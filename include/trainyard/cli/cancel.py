"""`trainyard cancel [trained-models] ID`."""

from __future__ import annotations

from trainyard.cli.options import ModelId, Output, Url


def cancel(model_id: ModelId, url: Url = None, output: Output = "text") -> None:
    """Stop a run. What it has made so far is still stored in the bucket, and its history stays."""
    from trainyard.cli.client import open_door
    from trainyard.cli.output import Screen
    from trainyard.cli.tables import pairs

    screen = Screen(output)
    with open_door(url) as door:
        screen.say(f"Canceling the trained model '{model_id}' ...")
        run = door.cancel(model_id)
    screen.say(*pairs([("State", screen.state(str(run["state"])))]), "OK", "Cancel trained-models successful")
    screen.data(run)
