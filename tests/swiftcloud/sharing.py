"""One Swift with one Keystone for a whole test session, however many processes it has.

Each process that has tests for it holds a shared lock, which the system drops with the process. The first one starts
`cloud.py`, which stops the servers once it gets the lock for itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from swiftcloud.cloud import READY_SECONDS, admin_client

from trainyard.local.ready import wait_for

PROGRAM = Path(__file__).resolve().with_name("cloud.py")
LEAVE_SECONDS = 1800  # the process that started it leaves last, so it waits for the others' tests
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
FOLDER = Path(tempfile.gettempdir()) / f"swiftcloud-{RUN}"
MARK = "swiftcloud"
_left = pytest.StashKey[ExitStack]()


@dataclass(frozen=True)
class SwiftCloud:
    """The addresses of both servers; ids of the project, of one where nobody has a role, and of Swift's service."""

    keystone: str
    swift: str
    project: str
    elsewhere: str
    service: str
    admin_password: str

    def admin(self) -> Any:
        return admin_client(f"{self.keystone}/v3", self.admin_password)


def ready_cloud(folder: Path = FOLDER) -> SwiftCloud:
    """Return the cloud; fail with the servers' last words if they did not start."""
    reported = folder / "cloud.json"
    assert wait_for(reported.exists, 3 * READY_SECONDS), "Swift and Keystone did not start in time"
    found = json.loads(reported.read_text())
    assert "failed" not in found, found["failed"]
    return SwiftCloud(**found)


@contextmanager
def shared(folder: Path = FOLDER, program: Path = PROGRAM) -> Iterator[None]:
    """Have the servers started, unless they are, and keep them; who started them waits until they are gone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        process = _start(program, folder) if _is_first(folder) else None
        yield
    if process:
        process.wait(LEAVE_SECONDS)


def _is_first(folder: Path) -> bool:
    try:
        (folder / "started").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _start(program: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(program), str(folder)]
    with (folder / "cloud.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _needs_servers(item: pytest.Item) -> bool:
    return item.get_closest_marker(MARK) is not None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}: needs the real Swift; whoever has its fixture gets the mark")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the servers, and put it last: they start while the rest is tested."""
    for item in items:
        if MARK in getattr(item, "fixturenames", ()):
            item.add_marker(MARK)
    items.sort(key=_needs_servers)


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.collectonly and any(map(_needs_servers, session.items)):
        session.config.stash[_left] = ExitStack()
        session.config.stash[_left].enter_context(shared())


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _left in session.config.stash:
        session.config.stash[_left].close()
