"""Start a Keystone and a Swift, register who may use them, and stop both when nobody holds `users` any more.

`cloud.py FOLDER`: all files are below FOLDER, which is removed at the end; `cloud.json` appears when all is ready.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from trainyard.local.ready import wait_for

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / ".venv" / "swiftcloud" / "bin" / "python"
READY_SECONDS = 240
STOP_SECONDS = 5
DOMAIN = "998877"
REGIONS = ("dallas", "london")
EMPTY_REGION = "frankfurt"
PASSWORD = 'secret with "quotes" & a : colon'
# Who has which role in the project; the second one may read only.
PEOPLE = {"ada": "member", "reader": "reader"}


def main() -> None:
    keep(Path(sys.argv[1]), _start)


def keep(folder: Path, start: Callable[[Path, ExitStack], Mapping[str, Any]]) -> None:
    """Start, tell what `start` returns or why it failed, and end what it left to the stack once nobody is there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with ExitStack() as left:
        left.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            ready = start(folder, left)
        except Exception as error:  # noqa: BLE001 - told to those who wait
            ready = {"failed": f"{error!r}; `make tools` installs what it needs\n{_logs(folder)}"}
        _tell(folder, ready)
        with (folder / "users").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)


def _start(folder: Path, left: ExitStack) -> dict[str, Any]:
    passwords = {name: secrets.token_hex(8) for name in ("KEYSTONE_ADMIN_PASSWORD", "SWIFT_PASSWORD")}
    listening = [socket.create_server(("127.0.0.1", 0), backlog=128) for _ in range(2)]
    keystone, swift = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in listening)
    servers = [
        left.enter_context(_server(folder, "keystone", listening[0], passwords)),
        left.enter_context(_server(folder, "swift", listening[1], passwords, f"{keystone}/v3")),
    ]
    for one in listening:
        one.close()
    for address in (f"{keystone}/v3", f"{swift}/healthcheck"):
        assert wait_for(lambda address=address: _is_ready(address, servers), READY_SECONDS)  # type: ignore[misc]
    projects = _register(f"{keystone}/v3", swift, passwords)
    admin = passwords["KEYSTONE_ADMIN_PASSWORD"]
    return {"keystone": keystone, "swift": swift, "admin_password": admin, **projects}


@contextmanager
def _server(
    folder: Path, name: str, listening: socket.socket, passwords: Mapping[str, str], *words: str
) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(PYTHON), str(HERE / f"{name}_server.py"), str(folder / name), str(listening.fileno()), *words]
    with (folder / f"{name}.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            env={**_environment(), **passwords},
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _environment() -> dict[str, str]:
    """Return what the servers inherit: not the proxies of the machine, since they talk to each other."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _is_ready(address: str, servers: list[subprocess.Popen[bytes]]) -> bool:
    for server in servers:
        if server.poll() is not None:
            raise RuntimeError(f"a server ended with {server.returncode}: {server.args!r}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _register(keystone: str, swift: str, passwords: Mapping[str, str]) -> dict[str, str]:
    admin = admin_client(keystone, passwords["KEYSTONE_ADMIN_PASSWORD"])
    roles = {role.name: role for role in admin.roles.list()}
    service = admin.projects.create("service", "default")
    user = admin.users.create("swift", domain="default", password=passwords["SWIFT_PASSWORD"])
    admin.roles.grant(roles["admin"], user=user, project=service)
    admin.roles.grant(roles["service"], user=user, project=service)
    domain = admin.domains.create(DOMAIN)
    project, elsewhere = (admin.projects.create(name, domain) for name in ("training", "somebody else's"))
    for name, role in PEOPLE.items():
        person = admin.users.create(name, domain=domain, password=PASSWORD)
        admin.roles.grant(roles[role], user=person, project=project)
    store = admin.services.create("swift", "object-store")
    for region in (*REGIONS, EMPTY_REGION):
        admin.regions.create(region)
    for region in REGIONS:
        admin.endpoints.create(store, f"{swift}/v1/AUTH_%(project_id)s", "public", region)
    return {"project": project.id, "elsewhere": elsewhere.id, "service": store.id}


def admin_client(keystone: str, password: str) -> Any:
    """Return a client of Keystone's administrator; Keystone's address ends with `/v3`."""
    from keystoneauth1.identity.v3 import Password
    from keystoneauth1.session import Session
    from keystoneclient.v3.client import Client

    default = {"user_domain_id": "default", "project_domain_id": "default"}
    auth = Password(keystone, username="admin", password=password, project_name="admin", **default)
    return Client(session=Session(auth=auth), endpoint_override=keystone)


def _logs(folder: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text('utf-8', 'replace')[-3000:]}" for path in folder.glob("*.log"))


def _tell(folder: Path, ready: Mapping[str, Any]) -> None:
    aside = folder / "cloud.json.part"
    aside.write_text(json.dumps(ready))
    aside.rename(folder / "cloud.json")


if __name__ == "__main__":
    main()
