"""`trainyard notify`: addresses that are notified of runs, tests of them, and what did not arrive."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.options import Output, QuickCommand, QuickGroup, Url, opened

if TYPE_CHECKING:
    from trainyard.client.rest import RestClient

app = typer.Typer(
    cls=QuickGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Keep the addresses that are notified of runs, test them, and see what did not arrive.",
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What manifests call the address.")]
Account = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="An account's address; for admins. Default: your own.")
]
_TEST_SECONDS, _POLL_SECONDS = 30.0, 0.5


@app.command("list", cls=QuickCommand)
def list_(url: Url = None, output: Output = "text") -> None:
    """List your addresses, those of your accounts, and the notifications that did not arrive."""
    from trainyard.cli.tables import address_table, undelivered_table

    with opened(url, output) as (service, screen):
        screen.say("Fetching the addresses ...")
        found = service.addresses().as_data()
    addresses, undelivered = found["addresses"], found["undelivered"]
    screen.say(*address_table(addresses), "", f"{len(addresses)} records found.")
    if undelivered:
        screen.say("", f"{len(undelivered)} notifications did not arrive:", *undelivered_table(undelivered))
    screen.say("OK", "List addresses successful")
    screen.data(found)


@app.command("set", cls=QuickCommand)
def set_(
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="slack://…, mailto:…, https://…; - reads it from stdin.")
    ],
    on: Annotated[
        str, typer.Option("--on", metavar="EVENTS", help="Of which events it is notified, such as failed,waiting.")
    ] = "",
    every_run: Annotated[
        bool, typer.Option("--every-run", help="Notify it of every run, whether its manifest says so or not.")
    ] = False,
    account: Account = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Keep an address under a name; one of that name is replaced. A webhook gets a secret, shown this once."""
    from trainyard.cli.tables import address_table

    with opened(url, output) as (service, screen):
        text = sys.stdin.readline().strip() if address == "-" else address
        events = [each.strip() for each in on.split(",") if each.strip()]
        screen.say(f"Keeping the address '{name}' ...")
        given = {"address": text, "on": events, "every_run": every_run, "account": account}
        kept = service.keep_address(name, given).as_data()
    screen.say(*address_table([kept]))
    if kept.get("secret"):
        screen.say("", f"Its webhooks are signed with {kept['secret']}", "Keep it now: it is not shown again.")
    screen.say("OK", "Keep address successful")
    screen.data(kept)


@app.command("remove", cls=QuickCommand)
def remove(name: Name, account: Account = None, url: Url = None, output: Output = "text") -> None:
    """Forget an address; what is on its way there is given up."""
    with opened(url, output) as (service, screen):
        screen.say(f"Removing the address '{name}' ...")
        service.remove_address(name, account)
    screen.say("OK", "Remove address successful")
    screen.data({"name": name})


@app.command("test", cls=QuickCommand)
def send_test(name: Name, account: Account = None, url: Url = None, output: Output = "text") -> None:
    """Send a test to an address and wait for what becomes of it; 1 is the exit code where it does not arrive."""
    from trainyard.errors import TrainyardError

    with opened(url, output) as (service, screen):
        screen.say(f"Sending a test to '{name}' ...")
        found = _settled(service, service.test_address(name, account).id)
    if found["state"] != "arrived":
        reason = found.get("failure") or f"it is on its way after {_TEST_SECONDS:.0f} seconds still"
        raise TrainyardError("C112", f"the test did not arrive: {reason}", "Look at the address, then test it again.")
    screen.say("It has arrived.", "OK", "Test address successful")
    screen.data(found)


@app.command("retry", cls=QuickCommand)
def retry(url: Url = None, output: Output = "text") -> None:
    """Try again what was given up, once its receiver is fixed."""
    with opened(url, output) as (service, screen):
        count = service.retry_notifications()
    screen.say(f"{count} notifications are tried again.", "OK", "Retry notifications successful")
    screen.data({"notifications": count})


def _settled(service: RestClient, number: str) -> dict[str, Any]:
    """Wait until a delivery has arrived or failed once."""
    import time

    deadline = time.monotonic() + _TEST_SECONDS
    while True:
        found = service.delivery(number).as_data()
        if found["state"] != "waiting" or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_SECONDS)
