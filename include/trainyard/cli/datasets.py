"""`trainyard datasets`."""

from __future__ import annotations

from trainyard.cli.options import Output, Url, opened


def datasets(url: Url = None, output: Output = "text") -> None:
    """List the cached datasets of your accounts: size, files, runs that use them now, runs that found them there."""
    from trainyard.cli.tables import dataset_table

    with opened(url, output) as (service, screen):
        screen.say("Fetching the list of datasets ...")
        found = [row.as_data() for row in service.datasets()]
    screen.say(*dataset_table(found), "", f"{len(found)} records found.", "OK", "List all datasets successful")
    screen.data({"resources": found, "total": len(found)})
