"""`trainyard logs ID`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from trainyard.cli.options import ModelId, Output, Url


def logs(
    model_id: ModelId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Print what the program of a run wrote, byte for byte."""
    from trainyard.cli.client import open_door
    from trainyard.cli.follow import follow_log
    from trainyard.cli.output import Screen, remark

    screen = Screen(output)
    with open_door(url) as door:
        chunks = follow_log(door, model_id) if follow else door.log(model_id, follow=False)
        if screen.json:
            log = b"".join(chunks).decode("utf-8", "replace")
            screen.data({"model_id": model_id, "log": log})
        elif not _pass_on(chunks):
            remark(f"note: {model_id} is {door.run(model_id)['state']} and has written nothing so far")


def _pass_on(chunks: Iterator[bytes]) -> bool:
    """Write the log to stdout; return whether there was any."""
    from trainyard.cli.output import raw

    some = False
    for chunk in chunks:
        some = True
        raw(chunk)
    return some
