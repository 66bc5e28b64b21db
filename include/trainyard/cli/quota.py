"""`trainyard quota`."""

from __future__ import annotations

from trainyard.cli.options import Output, Url


def quota(url: Url = None, output: Output = "text") -> None:
    """Show your accounts: GPUs owned, used and waited for, and the GPU hours of the last 7 days."""
    from trainyard.cli.client import open_door
    from trainyard.cli.output import Screen
    from trainyard.cli.tables import quota_table

    screen = Screen(output)
    with open_door(url) as door:
        screen.say("Fetching the quotas ...")
        accounts = door.quota()
    screen.say(*quota_table(accounts), "", f"{len(accounts)} records found.", "OK", "Show quota successful")
    screen.data({"resources": accounts, "total": len(accounts)})
