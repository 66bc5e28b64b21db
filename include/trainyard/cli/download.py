"""`trainyard download ID [DIR]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import ModelId, Output, Url, opened

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient


def download(
    model_id: ModelId,
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Where to. Default: a folder named ID.", show_default=False)
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="What lies in RESULT_DIR now, of a run that goes on. Default DIR: ID-now.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there and differ.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Download the trained model, the logs and all else that a run has stored in its bucket.

    What an interrupted download has brought is kept, and the same command goes on from there. With --now it is what a
    run has made so far.
    """
    from pathlib import Path

    from trainyard.cli.naming import run_named
    from trainyard.cli.output import if_interrupted
    from trainyard.cli.waiting import transfer_bar
    from trainyard.client.download import Target, check_stored, fetch_all

    with opened(url, output) as (service, screen):
        model_id = run_named(service, model_id)
        if now:
            _download_now(service, model_id, folder, force, screen)
            return
        target = Target(Path(folder or model_id))
        screen.say(f"Downloading the results of '{model_id}' ...")
        check_stored(service, model_id)
        with if_interrupted("The same command goes on from here."):
            files = fetch_all(service, model_id, target, force, lambda size: transfer_bar(size, "download"))
    size = sum(files.values())
    screen.say("OK", f"{len(files)} files, {size} bytes are in {target.folder}")
    screen.data({"model_id": model_id, "folder": str(target.folder), "files": files, "bytes": size})


def _download_now(service: RestClient, model_id: str, folder: str | None, force: bool, screen: Screen) -> None:
    from pathlib import Path

    from trainyard.client.download import Target
    from trainyard.client.downloadnow import fetch_now

    target = Target(Path(folder or f"{model_id}-now"))
    screen.say(f"Downloading what '{model_id}' has made so far ...")
    files, notes = fetch_now(service, model_id, target, force or folder is None)
    screen.warn(notes)
    size = sum(files.values())
    screen.say("OK", f"{len(files)} files, {size} bytes are in {target.folder}")
    found = {"folder": str(target.folder), "files": files, "bytes": size, "notes": notes}
    screen.data({"model_id": model_id, **found})
