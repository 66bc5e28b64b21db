"""`trainyard logs ID`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import ModelId, Output, Url

if TYPE_CHECKING:
    from trainyard.cli.client import FrontDoor


def logs(
    model_id: ModelId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    last: Annotated[
        str | None, typer.Option("--last", "-n", metavar="N", help="Begin with the last N lines.", show_default=False)
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the bytes to a terminal as they are, whatever they do to it.")
    ] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Print what the program of a run wrote; byte for byte, unless it is shown on a terminal.

    A terminal is shown the colours of a log and its other control characters as text, such as \\x1b.

    With --follow, what the run waits for before its program runs is told on stderr.
    """
    from trainyard.cli.client import open_door
    from trainyard.cli.follow import follow_log
    from trainyard.cli.logtext import write_log
    from trainyard.cli.options import whole_number
    from trainyard.cli.output import Screen, remark

    screen, lines = Screen(output), whole_number("--last", last)
    with open_door(url) as door:
        chunks = follow_log(door, model_id, lines) if follow else _whole(door, model_id, lines)
        if screen.json:
            log = b"".join(chunks).decode("utf-8", "replace")
            screen.data({"model_id": model_id, "log": log})
        elif not write_log(chunks, sys.stdout, raw) and lines != 0:
            remark(f"note: {model_id} is {door.run(model_id)['state']} and has written nothing so far")


def _whole(door: FrontDoor, model_id: str, last: int | None) -> Iterator[bytes]:
    with door.log(model_id, last=last) as (_, chunks):
        yield from chunks
