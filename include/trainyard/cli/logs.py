"""`trainyard logs ID`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import ModelId, Output, Url

if TYPE_CHECKING:
    pass


def logs(
    model_id: ModelId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    last: Annotated[
        str | None, typer.Option("--last", "-n", metavar="N", help="Begin with the last N lines.", show_default=False)
    ] = None,
    learner: Annotated[
        str | None, typer.Option("--learner", metavar="N", help="Only this one's, of several.", show_default=False)
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the bytes to a terminal as they are, whatever they do to it.")
    ] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Print what the program of a run wrote; byte for byte, unless it is shown on a terminal.

    A terminal is shown the colours of a log and its other control characters as text, such as \\x1b.

    Of several learners each line has the learner's number in front, as in [2], unless --learner chooses one.

    With --follow, what the run waits for before its program runs is reported on stderr.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.follow import follow_log, log_of
    from trainyard.cli.logtext import write_log
    from trainyard.cli.naming import run_named
    from trainyard.cli.options import whole_number
    from trainyard.cli.output import Screen, remark
    from trainyard.client.following import whole_log

    screen, lines, number = Screen(output), whole_number("--last", last), whole_number("--learner", learner)
    with open_service(url) as service:
        model_id = run_named(service, model_id)
        if follow:
            chunks = follow_log(service, model_id, lines, number)
        else:
            chunks = log_of(whole_log, service, model_id, lines, number)
        if screen.json:
            log = b"".join(chunks).decode("utf-8", "replace")
            screen.data({"model_id": model_id, "log": log})
        elif not write_log(chunks, sys.stdout, raw) and lines != 0:
            remark(f"note: {model_id} is {service.run(model_id).state} and has written nothing so far")
