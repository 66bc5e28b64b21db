"""`trainyard doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import Output, Url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trainyard.client.rest import RestClient
    from trainyard.domain.finding import Finding

_MAX_SECONDS = 240
_INSIDE = "Where it is dead, the same checks run within: `python -m trainyard.doctor.report`, see docs/doctor.md."


def doctor(
    store: Annotated[
        str, typer.Option("--store", metavar="URL", help="Look at this store too; written as TRAINYARD_INBOX is.")
    ] = "",
    store_connection: Annotated[
        str,
        typer.Option("--store-connection", metavar="ID", help="The Airflow connection with that store's credentials."),
    ] = "",
    every_image: Annotated[
        bool, typer.Option("--every-image", help="Try the image of every framework, not only of the first.")
    ] = False,
    wait: Annotated[str, typer.Option("--wait", metavar="SECONDS", help="How long to wait for a probe pod.")] = "120",
    url: Url = None,
    output: Output = "text",
) -> None:
    """Check the service, for admins: cluster, rights, GPUs, workspace, images, stores, Airflow, pools, clocks.

    A line for each check, with the hint where something is wrong. Exit with 1 unless all is well.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen

    screen, wishes = Screen(output), _wishes(store, store_connection, every_image, wait)
    found = []
    with open_service(url) as service:
        for finding in _found(service, wishes):
            found.append(finding)
            screen.say(*_lines(finding))
    well = all(finding.ok for finding in found)
    screen.data({"ok": well, "findings": [finding.as_dict() for finding in found]})
    if not well:
        raise typer.Exit(1)


def _wishes(store: str, store_connection: str, every_image: bool, wait: str) -> dict[str, str | bool | int]:
    from trainyard.cli.options import whole_number
    from trainyard.client.errors import WrongUsageError

    seconds = whole_number("--wait", wait) or 0
    if not 1 <= seconds <= _MAX_SECONDS:
        raise WrongUsageError(f"--wait cannot be {wait}", f"Give 1 to {_MAX_SECONDS} seconds.")
    if store_connection and not store:
        raise WrongUsageError("--store-connection needs --store", "Name the store too.")
    named = {"store": store, "store_connection": store_connection}
    return {**named, "every_image": every_image, "wait_seconds": seconds}


def _found(service: RestClient, wishes: dict[str, str | bool | int]) -> Iterator[Finding]:
    """Yield what the service finds; that it does not answer is a finding too, and the first."""
    from trainyard.client.errors import UnreachableError
    from trainyard.domain.finding import wrong

    try:
        yield from service.doctor(wishes)
    except UnreachableError as error:
        yield wrong("api-server", error.message, f"{error.hint} {_INSIDE}")


def _lines(finding: Finding) -> list[str]:
    import sys

    from trainyard.cli.output import paint, printable
    from trainyard.domain.finding import line_of

    first, *rest = map(printable, line_of(finding).splitlines())
    colour = {"ok": "green", "warn": "yellow"}.get(finding.state, "red")
    return [first.replace(finding.state, paint(finding.state, colour, sys.stdout), 1), *rest]
