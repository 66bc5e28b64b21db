"""`trainyard cancel [trained-models] ID`."""

from __future__ import annotations

from trainyard.cli.options import ModelIdOrDocument, Output, Url, one_model_id


def cancel(words: ModelIdOrDocument, url: Url = None, output: Output = "text") -> None:
    """Stop a run. What it has made so far is still stored in the bucket, and its history stays.

    `cancel experiment-runs EXPERIMENT RUN` stops all trainings of an experiment's run.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.documents import cancel_document, on_document
    from trainyard.cli.output import Screen
    from trainyard.cli.tables import pairs

    if on_document(words, cancel_document, url, output):
        return
    screen, model_id = Screen(output), one_model_id(words)
    with open_service(url) as service:
        screen.say(f"Canceling the trained model '{model_id}' ...")
        run = service.cancel(model_id)
    screen.say(*pairs([("State", screen.state(run.state))]), "OK", "Cancel trained-models successful")
    screen.data(run.as_data())
