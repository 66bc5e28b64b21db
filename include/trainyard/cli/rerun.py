"""`trainyard rerun [trained-models] ID`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trainyard.cli.options import ModelId, Output, Url


def rerun(
    model_id: ModelId,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter that it has instead.", show_default=False),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="NAME", help="Another size.", show_default=False)] = None,
    command: Annotated[str | None, typer.Option(metavar="TEXT", help="Another command.", show_default=False)] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="On the very data and with the very image that the run had.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="From the newest complete checkpoint that the run has stored.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(metavar="NEW", help="What the new run is called.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show the log until the run has ended.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Run a run again, with other values where they are given, and print the new model id.

    Zip, manifest and the values of the run are taken from it, the data as it is now. With --exact the data has to be
    of the version that the run had: it is refused if that, or the image, is not there any more.
    """
    import secrets

    from trainyard.cli.client import open_service
    from trainyard.cli.follow import follow_to_end
    from trainyard.cli.naming import run_named
    from trainyard.cli.output import Screen

    screen, changes = Screen(output), {"set": _values(settings or []), "size": size, "command": command}
    given = {**changes, "exact": exact, "resume": resume, "name": name}
    asked: dict[str, Any] = {field: value for field, value in given.items() if value}
    with open_service(url) as service:
        model_id = run_named(service, model_id)
        screen.say(f"Running '{model_id}' again ...")
        answer = service.rerun(model_id, asked, f"cli-{secrets.token_hex(16)}")
        screen.say("OK", f"Model-ID is '{answer.model_id}'")
        if follow:
            follow_to_end(service, answer, screen)
        else:
            screen.data(answer.as_data())


def _values(settings: list[str]) -> dict[str, str]:
    """Read `NAME=VALUE`; raise TrainyardError C110 with everything that cannot be read, and for several values."""
    from trainyard.client.errors import WrongUsageError
    from trainyard.manifest.grid import Spread, read_grid

    values: dict[str, str] = {}
    for name, given in read_grid(settings).values.items():
        if isinstance(given, Spread) or len(given) > 1:
            raise WrongUsageError("a run that is run again has one value for each name", "Give --set NAME=VALUE.")
        (values[name],) = given
    return values
