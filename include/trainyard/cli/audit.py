"""`trainyard audit`: who did what through the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.options import Output, Url

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

_PAUSE_SECONDS = 2.0
_OVERLAP_SECONDS = 5.0
_LAST = 100


def audit(
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only events since then: 30m, 12h, 7d, or a date and time in UTC."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only events before then.", show_default=False)
    ] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="USER", help="Only what this user did.", show_default=False)
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="ACTION", help="Only this action, such as submit.", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what was done with this run.", show_default=False)
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what was done in this account.", show_default=False)
    ] = None,
    result: Annotated[
        str | None, typer.Option(metavar="ok|refused|failed", help="Only what ended so.", show_default=False)
    ] = None,
    limit: Annotated[str | None, typer.Option(metavar="N", help="Only the newest N; by default 100.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded, until Ctrl-C.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """List what was done through the service and by whom, the newest last. For admins."""
    from trainyard.cli.client import open_service
    from trainyard.cli.filters import event_filters
    from trainyard.cli.options import whole_number
    from trainyard.cli.output import Screen

    screen = Screen(output)
    texts = {"actor": actor, "action": action, "run": run, "account": account, "result": result}
    wanted, most = event_filters(since, until, texts), whole_number("--limit", limit)
    with open_service(url) as service:
        if follow:
            _follow(service, screen, wanted, _LAST if most is None else most)
        else:
            _list(service, screen, wanted, _LAST if most is None else most)


def _list(service: RestClient, screen: Screen, wanted: dict[str, Any], most: int) -> None:
    from trainyard.cli.tables import event_table

    screen.say("Fetching the audit log ...")
    found, more = service.events(wanted, most)
    events = [event.as_data() for event in found]
    left = ", and there are older ones: --limit or --until shows them" if more else ""
    screen.say(*event_table(events), "", f"{len(events)} records found{left}.", "OK")
    screen.data({"resources": events, "more": more})


def _follow(service: RestClient, screen: Screen, wanted: dict[str, Any], most: int) -> None:
    """Print a line for each event, as text or as JSON."""
    import json
    import sys

    from trainyard.cli.output import escaped
    from trainyard.cli.tables import event_table

    header = 0
    for events in _coming(service, wanted, most):
        lines = event_table(events)[header:]
        if screen.json:
            lines = [escaped(json.dumps(event, ensure_ascii=False)) for event in events]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        header = 1


def _coming(service: RestClient, wanted: dict[str, Any], most: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the events there are and then, again and again, those that were not there at the look before."""
    import time

    from trainyard.client.waiting import patient

    known: list[dict[str, Any]] = []

    def look() -> list[dict[str, Any]]:
        asked, limit = ({**wanted, "since": _overlapping(known)}, None) if known else (wanted, most)
        return [event.as_data() for event in service.events(asked, limit)[0]]

    looking = patient(look)
    while True:
        events = looking()
        yield [event for event in events or () if event not in known]
        known = events or known
        time.sleep(_PAUSE_SECONDS)


def _overlapping(events: list[dict[str, Any]]) -> str:
    """Return from when on to look again: processes and machines do not write in the order of their clocks."""
    from datetime import datetime, timedelta

    last = datetime.fromisoformat(events[-1]["time"])
    return (last - timedelta(seconds=_OVERLAP_SECONDS)).isoformat()
