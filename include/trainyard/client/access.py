"""Which service a client talks to, and as whom; what `login` keeps."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainyard.client.errors import WrongUsageError

URL, TOKEN, USERNAME, PASSWORD = (f"TRAINYARD_{name}" for name in ("URL", "TOKEN", "USERNAME", "PASSWORD"))


@dataclass(frozen=True)
class Access:
    """A service and how to sign in to it: with a token, or with a name and a password that fetch one."""

    url: str
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def can_sign_in(self) -> bool:
        return bool(self.username and self.password)


def find_access(url: str | None, environ: Mapping[str, str], folder: Path) -> Access:
    """Decide on the service: the option, TRAINYARD_URL, the nearest .trainyard/client.json, what `login` kept.

    Kept credentials go to the URL they were kept for and to no other. Raise WrongUsageError where no service is known.
    """
    wanted = url or environ.get(URL)
    access = _named(service_url(wanted), environ, folder) if wanted else next(_kept(environ, folder), None)
    if access is None:
        hint = "Start one with `trainyard up`, or sign in to one with `trainyard login --url URL`."
        raise WrongUsageError("no service is known", hint)
    return _with_environment(access, environ)


def service_url(text: str) -> str:
    """Check the URL of a service and bring it into one form. Raise WrongUsageError."""
    try:
        parts = urlsplit(text.strip())
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise WrongUsageError(f"{text!r} is no URL of a service", "Write it whole, such as http://127.0.0.1:8080.")
    if "@" in parts.netloc:
        raise WrongUsageError(
            "the URL holds a user name or password", "Leave them out; `trainyard login` asks for them."
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def warnings_of(url: str) -> list[str]:
    if urlsplit(url).scheme == "https" or is_loopback(url):
        return []
    return [f"{url} is not encrypted: others on the way can read passwords, tokens and manifests. Use https."]


def login_file(environ: Mapping[str, str]) -> Path:
    """Return where `login` keeps the URL and the token."""
    home = environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "trainyard" / "login.json"


def keep_login(path: Path, url: str, username: str, token: str) -> None:
    """Write what a login brought, readable by its owner only; the file is whole or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"url": url, "username": username, "token": token}, file)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _named(url: str, environ: Mapping[str, str], folder: Path) -> Access:
    return next((access for access in _kept(environ, folder) if access.url == url), Access(url))


def _with_environment(access: Access, environ: Mapping[str, str]) -> Access:
    if token := environ.get(TOKEN):
        return Access(access.url, token)
    username, password = environ.get(USERNAME), environ.get(PASSWORD)
    if username and password:
        return replace(access, token=None, username=username, password=password)
    return access


def _kept(environ: Mapping[str, str], folder: Path) -> Iterator[Access]:
    stack = next((path for path in _stack_files(folder) if _mine(path)), None)
    for path in (stack, login_file(environ)):
        if path is not None and path.is_file():
            yield _read(path)


def _stack_files(folder: Path) -> Iterator[Path]:
    for place in (folder, *folder.parents):
        yield place / ".trainyard" / "client.json"


def _mine(path: Path) -> bool:
    """Say whether the file is there and one's own: in a folder open to all, anybody could name a service."""
    with contextlib.suppress(OSError):
        owner = path.stat().st_uid
        return path.is_file() and (not hasattr(os, "getuid") or owner == os.getuid())
    return False


def _read(path: Path) -> Access:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return Access(service_url(data["url"]), *(data.get(key) for key in ("token", "username", "password")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, WrongUsageError):
        hint = "Write it again with `trainyard up` or `trainyard login`, or remove it."
        raise WrongUsageError(f"{path} cannot be read as the access to a service", hint) from None
