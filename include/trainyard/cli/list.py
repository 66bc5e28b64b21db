"""`trainyard list [trained-models]` and `trainyard list frameworks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import NOUNS, Output, Url

if TYPE_CHECKING:
    from trainyard.cli.client import FrontDoor
    from trainyard.cli.output import Screen

_FRAMEWORKS = "frameworks"


def list_(
    what: Annotated[
        str, typer.Argument(metavar=f"{NOUNS[0]}|{_FRAMEWORKS}", help="What to list.", show_default=False)
    ] = NOUNS[0],
    url: Url = None,
    output: Output = "text",
) -> None:
    """List the runs, the newest last, or the frameworks there are."""
    from trainyard.cli.client import open_door
    from trainyard.cli.errors import WrongUsageError
    from trainyard.cli.output import Screen

    screen = Screen(output)
    if what not in (*NOUNS, _FRAMEWORKS):
        raise WrongUsageError(f"there is no list of {what!r}", f"Use one of {', '.join((*NOUNS, _FRAMEWORKS))}.")
    with open_door(url) as door:
        (_list_frameworks if what == _FRAMEWORKS else _list_runs)(door, screen)


def _list_runs(door: FrontDoor, screen: Screen) -> None:
    from trainyard.cli.tables import run_table

    screen.say("Fetching the list of trained models ...")
    runs = door.runs()
    screen.say(*run_table(runs, screen.state), "", f"{len(runs)} records found.", "OK")
    screen.say("List all trained-models successful")
    screen.data({"resources": runs, "total": len(runs)})


def _list_frameworks(door: FrontDoor, screen: Screen) -> None:
    from trainyard.cli.tables import framework_table

    screen.say("Fetching the list of frameworks ...")
    found = door.frameworks()
    screen.say(*framework_table(found), "", f"{len(found)} records found.", "OK")
    screen.say("List all frameworks successful")
    screen.data({"resources": found, "total": len(found)})
