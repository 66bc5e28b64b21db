"""`trainyard login`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from trainyard.cli.options import Output

_HINT = "Give --username NAME and TRAINYARD_PASSWORD or --password-stdin where nobody can be asked."


def login(
    url: Annotated[str | None, typer.Option(metavar="URL", help="The service. Default: TRAINYARD_URL.")] = None,
    username: Annotated[str | None, typer.Option(metavar="NAME", help="Who signs in. Default: you are asked.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    output: Output = "text",
) -> None:
    """Sign in to a service and keep the token, never the password, for the other commands."""
    from trainyard.cli.client import remark_pause
    from trainyard.cli.output import Screen, warn
    from trainyard.client.access import USERNAME, Access, keep_login, login_file, warnings_of
    from trainyard.client.rest import RestClient

    screen, address = Screen(output), _address(url)
    warn(*warnings_of(address))
    name = username or os.environ.get(USERNAME) or _asked("User name: ")
    password = _password(password_stdin)
    screen.say(f"Signing in to {address} as '{name}' ...")
    with RestClient(Access(address), on_pause=remark_pause) as service:
        token = service.sign_in(name, password)
        service.check()
    path = login_file(os.environ)
    keep_login(path, address, name, token)
    screen.say("OK", "Login successful")
    screen.data({"url": address, "username": name, "kept_in": str(path)})


def _address(url: str | None) -> str:
    from trainyard.client.access import URL, service_url
    from trainyard.client.errors import WrongUsageError

    given = url or os.environ.get(URL)
    if not given:
        raise WrongUsageError("no service is named", "Give --url URL, such as http://127.0.0.1:8080.")
    return service_url(given)


def _password(from_stdin: bool) -> str:
    from getpass import getpass

    from trainyard.client.access import PASSWORD

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if password := os.environ.get(PASSWORD):
        return password
    _need_terminal()
    return getpass("Password: ")


def _asked(question: str) -> str:
    _need_terminal()
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _need_terminal() -> None:
    from trainyard.client.errors import WrongUsageError

    if not sys.stdin.isatty():
        raise WrongUsageError("there is no terminal to ask on", _HINT)
