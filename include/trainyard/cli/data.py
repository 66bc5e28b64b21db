"""`trainyard data put|ls|rm`."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import Output, QuickCommand, QuickGroup, Url, opened

At = Annotated[
    str,
    typer.Argument(
        metavar="[STORE/]BUCKET[/PREFIX]",
        help="Where it is. Without a store: local, or the only one that is kept for you.",
        show_default=False,
    ),
]
Holder = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME", help="The account whose stores are meant too. Default: your first one."),
]
data = typer.Typer(cls=QuickGroup, rich_markup_mode=None, pretty_exceptions_enable=False)


@data.callback()
def _data() -> None:
    """Put data into the stores that are kept for you, list and remove it, without the stores' keys."""


@data.command("put", cls=QuickCommand)
def put(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="The folder, or one file.", show_default=False)],
    at: At,
    account: Holder = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Store a folder's files; what lies there with the same content is not sent again, and nothing is removed.

    An interrupted command leaves every file whole or not there, and the same command goes on from there.
    """
    from dataclasses import asdict

    from trainyard.cli.columns import size_text
    from trainyard.cli.output import if_interrupted
    from trainyard.cli.waiting import transfer_bar
    from trainyard.client.data import Data

    with opened(url, output) as (service, screen):
        all_data = Data(service)
        place = all_data.place(at, account)
        screen.say(f"Storing {source} in {place} ...")
        with if_interrupted("The same command goes on from here."):
            done = all_data.put(source, place, account=account, bar=lambda size: transfer_bar(size, "upload"))
    known = done.files - done.sent_files
    before = f", {known} of which lay there before" if known else ""
    screen.say("OK", f"{done.files} files, {size_text(done.bytes)} are in {place}{before}")
    screen.data(asdict(done))


@data.command("ls", cls=QuickCommand)
def ls(at: At, account: Holder = None, url: Url = None, output: Output = "text") -> None:
    """List what is in a bucket, or below a prefix of it: size and key."""
    from trainyard.cli.columns import columns, size_text
    from trainyard.cli.output import one_line
    from trainyard.client.data import Data

    with opened(url, output) as (service, screen):
        all_data = Data(service)
        place = all_data.place(at, account)
        screen.say(f"Fetching what is in {place} ...")
        found = [*all_data.list(place, account=account)]
    total = sum(each.size for each in found)
    screen.say(*columns(("Size", "Key"), [(size_text(each.size), one_line(each.key)) for each in found]))
    screen.say("", f"{len(found)} objects found, {size_text(total)}.", "OK")
    resources = [each.as_data() for each in found]
    screen.data({"store": place.store, "bucket": place.bucket, "resources": resources, "total": len(found)})


@data.command("rm", cls=QuickCommand)
def rm(
    at: At,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without asking.")] = False,
    account: Holder = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Remove an object, or all that is below a prefix or in a bucket. It asks first, and cannot be undone."""
    from trainyard.cli.asking import ask
    from trainyard.cli.columns import size_text
    from trainyard.client.data import Data
    from trainyard.errors import TrainyardError

    with opened(url, output) as (service, screen):
        all_data = Data(service)
        place = all_data.place(at, account)
        found = [*all_data.list(place, account=account)]
        if not found:
            raise TrainyardError("C107", f"there is nothing in {place}", "`trainyard data ls` shows what there is.")
        what = f"{len(found)} objects, {size_text(sum(each.size for each in found))},"
        if not yes:
            unasked = (f"{what} would be removed from {place}", "Remove them with --yes.")
            ask(f"Remove {what} from {place}?", unasked, "nothing is removed")
        all_data.remove_objects(place, [each.key for each in found], account)
    screen.say("OK", f"{what} are removed from {place}")
    screen.data({"store": place.store, "bucket": place.bucket, "removed": [each.key for each in found]})
