"""`trainyard store add|list|test|rm`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from trainyard.cli.options import DEFINITIONS, EXPERIMENTS, Output, Payer, QuickCommand, QuickGroup, Url, opened
from trainyard.cli.store import store_definition, store_experiment

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name in manifests, such as team-data.")]
store = typer.Typer(cls=QuickGroup, rich_markup_mode=None, pretty_exceptions_enable=False)


@store.callback()
def _store() -> None:
    """Keep object stores under a name, encrypted; a manifest names them, as in `connection: {name: team-data}`.

    `training-definitions` and `experiments` store documents of 2018.
    """


@store.command("add", cls=QuickCommand)
def add(
    name: Name,
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="URL", help="The address of the S3 store.")],
    region: Annotated[str, typer.Option("--region", metavar="NAME", help="Its region, if it needs one.")] = "",
    account: Payer = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Keep an S3 store, in the place of one of that name. Key id and secret are asked for, or two lines of stdin."""
    with opened(url, output) as (service, screen):
        key_id, secret = _keys()
        kept = service.keep_store(name, endpoint, key_id, secret, region, account)
    screen.say("OK", f"Store {name} is kept; name it in a manifest as connection: {{name: {name}}}")
    screen.data(kept.as_data())


@store.command("list", cls=QuickCommand)
def list_(url: Url = None, output: Output = "text") -> None:
    """List the stores that are kept for you and your accounts, without their keys."""
    from trainyard.cli.tables import store_table

    with opened(url, output) as (service, screen):
        screen.say("Fetching the stores ...")
        found = [each.as_data() for each in service.stores()]
    screen.say(*store_table(found), "", f"{len(found)} records found.", "OK", "List stores successful")
    screen.data({"resources": found, "total": len(found)})


@store.command("test", cls=QuickCommand)
def check(
    name: Name,
    bucket: Annotated[str, typer.Argument(metavar="BUCKET", help="The bucket to look into.")],
    account: Payer = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Let the service look into a bucket with the keys that are kept. Exit with 1 if they do not open it."""
    with opened(url, output) as (service, screen):
        found = service.test_store(name, bucket, account)
    screen.say("OK", f"Store {name} opens the bucket {bucket}, which {'is empty' if found.empty else 'has objects'}")
    screen.data(found.as_data())


@store.command("rm", cls=QuickCommand)
def rm(name: Name, account: Payer = None, url: Url = None, output: Output = "text") -> None:
    """Forget a store; its buckets are left alone. Runs that name it fail when they next need it."""
    with opened(url, output) as (service, screen):
        service.forget_store(name, account)
    screen.say("OK", f"Store {name} is forgotten")
    screen.data({"name": name, "account": account, "forgotten": True})


store.command(DEFINITIONS, cls=QuickCommand)(store_definition)
store.command(EXPERIMENTS, cls=QuickCommand)(store_experiment)


def _keys() -> tuple[str, str]:
    from getpass import getpass

    from trainyard.client.errors import WrongUsageError

    if sys.stdin.isatty():
        sys.stderr.write("Access key id: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip(), getpass("Secret access key: ")
    lines = sys.stdin.read().splitlines()
    if len(lines) < 2:
        raise WrongUsageError(
            "stdin has no two lines", "Give the access key id on the first line, the secret on the second."
        )
    return lines[0].strip(), lines[1]
