"""`trainyard exec ID -- COMMAND`."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import ModelId, Url


def execute(
    model_id: ModelId,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND", help="The command, with its own options, behind `--`.")
    ],
    learner: Annotated[
        str | None,
        typer.Option("--learner", metavar="N", help="Of several learners: whose container. Default: the first."),
    ] = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", "-n", help="Give the command no input.")] = False,
    no_terminal: Annotated[
        bool, typer.Option("--no-terminal", "-T", help="No terminal for the command, although there is one here.")
    ] = False,
    url: Url = None,
) -> None:
    """Run a command in the container of a running program, as `trainyard exec ID -- nvidia-smi`, or `-- bash`.

    On a terminal it gets one too. Otherwise input, output and errors are passed on as they are. Its exit code is that
    of this command; what Trainyard itself refuses ends with 1, and says so on stderr.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.naming import run_named
    from trainyard.cli.options import whole_number
    from trainyard.cli.terminal import Conversation, has_terminal
    from trainyard.client.commands import Command

    number = whole_number("--learner", learner) or 1
    tty = not (no_terminal or no_stdin) and has_terminal()
    with open_service(url) as service:
        model_id = run_named(service, model_id)
        asked = Command(command, stdin=not no_stdin, tty=tty, learner=number)
        code = Conversation(service, model_id, asked).run()
    raise typer.Exit(code)
