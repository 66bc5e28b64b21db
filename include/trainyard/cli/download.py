"""`trainyard download ID [DIR]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import ModelId, Output, Url

if TYPE_CHECKING:
    from trainyard.cli.client import FrontDoor


def download(
    model_id: ModelId,
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Where to. Default: a folder named ID.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there and differ.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Download the trained model, the logs and all else that a run has stored in its bucket.

    What an interrupted download has brought is kept, and the same command goes on from there.
    """
    from pathlib import Path

    from trainyard.cli.client import open_door
    from trainyard.cli.fetching import Target, fetch_all
    from trainyard.cli.output import Screen, if_interrupted

    screen, target = Screen(output), Target(Path(folder or model_id))
    with open_door(url) as door:
        screen.say(f"Downloading the results of '{model_id}' ...")
        _check_stored(door, model_id)
        with if_interrupted("The same command goes on from here."):
            files = fetch_all(door, model_id, target, force)
    size = sum(files.values())
    screen.say("OK", f"{len(files)} files, {size} bytes are in {target.folder}")
    screen.data({"model_id": model_id, "folder": str(target.folder), "files": files, "bytes": size})


def _check_stored(door: FrontDoor, model_id: str) -> None:
    """Raise C108 for a run that has not stored everything yet."""
    from trainyard.cli.follow import has_ended
    from trainyard.errors import TrainyardError

    run = door.run(model_id)
    if not has_ended(run):
        hint = f"Follow it with `trainyard logs --follow {model_id}`, then download."
        raise TrainyardError("C108", f"{model_id} is {run['phase']}; its results are stored when it ends", hint)
