"""`trainyard quota`."""

from __future__ import annotations

from trainyard.cli.options import Output, Url, opened


def quota(url: Url = None, output: Output = "text") -> None:
    """Show your accounts: GPUs owned, used and waited for, and the GPU hours of the last 7 days."""
    from trainyard.cli.tables import quota_table

    with opened(url, output) as (service, screen):
        screen.say("Fetching the quotas ...")
        accounts = [account.as_data() for account in service.quota()]
    screen.say(*quota_table(accounts), "", f"{len(accounts)} records found.", "OK", "Show quota successful")
    screen.data({"resources": accounts, "total": len(accounts)})
