"""`trainyard secret set|list|rm`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from trainyard.cli.options import Output, Payer, QuickCommand, QuickGroup, Url, opened

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as WANDB_API_KEY.")]
secret = typer.Typer(cls=QuickGroup, rich_markup_mode=None, pretty_exceptions_enable=False)


@secret.callback()
def _secret() -> None:
    """Keep secrets for programs, encrypted; a manifest names them, as in `secrets: [WANDB_API_KEY]`."""


@secret.command("set", cls=QuickCommand)
def set_(name: Name, account: Payer = None, url: Url = None, output: Output = "text") -> None:
    """Keep a secret, in the place of one of that name. Its value is asked for, or read from stdin."""
    with opened(url, output) as (service, screen):
        value = _value(name)
        kept = service.keep_secret(name, value, account)
    screen.say("OK", f"Secret {name} is kept; name it in a manifest below secrets")
    screen.data(kept.as_data())


@secret.command("list", cls=QuickCommand)
def list_(url: Url = None, output: Output = "text") -> None:
    """List the secrets that are kept for you and your accounts, without their values."""
    from trainyard.cli.tables import secret_table

    with opened(url, output) as (service, screen):
        screen.say("Fetching the secrets ...")
        found = [each.as_data() for each in service.secrets()]
    screen.say(*secret_table(found), "", f"{len(found)} records found.", "OK", "List secrets successful")
    screen.data({"resources": found, "total": len(found)})


@secret.command("rm", cls=QuickCommand)
def rm(name: Name, account: Payer = None, url: Url = None, output: Output = "text") -> None:
    """Forget a secret. Runs that are under way keep it; runs to come are refused it."""
    with opened(url, output) as (service, screen):
        service.forget_secret(name, account)
    screen.say("OK", f"Secret {name} is forgotten")
    screen.data({"name": name, "account": account, "forgotten": True})


def _value(name: str) -> str:
    """Ask for a value on the terminal, or read it from stdin, but for the line end behind it."""
    from getpass import getpass

    from trainyard.client.errors import WrongUsageError

    if sys.stdin.isatty():
        return getpass(f"Value of {name}: ")
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise WrongUsageError("the value on stdin is not in UTF-8", "Keep it encoded, as in base64.") from None
    return text.removesuffix("\n").removesuffix("\r")
