"""`trainyard undelete [trained-models] ID…`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trainyard.cli.options import Output, Url


def undelete(
    words: Annotated[list[str], typer.Argument(metavar="ID", help="The model id or a part of it, or a name.")],
    url: Url = None,
    output: Output = "text",
) -> None:
    """Bring deleted runs back with all that they had. `trainyard list --deleted` shows which, and until when."""
    from trainyard.cli.client import open_service
    from trainyard.cli.naming import runs_named
    from trainyard.cli.output import Screen
    from trainyard.cli.several import do_each

    screen = Screen(output)

    def bring_back(model_id: str) -> dict[str, Any]:
        screen.say(f"Bringing the trained model '{model_id}' back ...")
        run = service.undelete(model_id)
        screen.say("OK", "Undelete trained-models successful")
        return run.as_data()

    with open_service(url) as service:
        do_each(runs_named(service, words, deleted=True), bring_back, screen)
