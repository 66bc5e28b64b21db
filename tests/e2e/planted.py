"""Secrets planted where a person or an installation keeps its own, each another, and the search for them."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from trainyard.domain.training import Credentials
from trainyard.local.inbox import BUCKET

# Of this session alone: another stack on this machine may have planted its own.
SECRET, USER = f"plantedSecret{os.getpid():07d}", f"plantedUser{os.getpid():07d}"
_MARKS = (SECRET, USER)


def credentials(place: str) -> Credentials:
    """Return credentials that are found by their marks and tell by their ends where they were planted."""
    return Credentials(f"{USER}Of{place}", f"{SECRET}Of{place}")


DATA, RESULTS, INBOX, WRONG, HOOK = map(credentials, ("Data", "Results", "Inbox", "Wrong", "Hook"))
# Kept for programs, which print all that they are told.
OF_PROGRAM = f"plantedForProgram{os.getpid():07d}"
# Submitted where no secret belongs.
STRAY = f"{SECRET}Astray"


def of_airflow(objects: Path) -> dict[str, str]:
    """Return the environment that Airflow is given by whoever runs it, with secrets that no training may see."""
    inbox = {"conn_type": "generic", "login": INBOX.user, "password": INBOX.secret}
    return {
        "TRAINYARD_INBOX": (objects / BUCKET).as_uri(),
        "AIRFLOW_CONN_TRAINYARD_INBOX": json.dumps(inbox),
        "KEY_OF_ANOTHER_SERVICE": f"{SECRET}OfAirflow",
    }


def forms(text: str) -> list[bytes]:
    """Return a text as it may be written: plain, and in base64 wherever in the encoded text it begins."""
    return [text.encode(), *(_inside(text, shift) for shift in range(3))]


def _inside(text: str, shift: int) -> bytes:
    data = bytes(shift) + text.encode()
    whole = base64.b64encode(data[: len(data) // 3 * 3])
    return whole[(0, 2, 3)[shift] :]


def marks() -> list[bytes]:
    """Return all that a planted secret or user is found by."""
    return [form for mark in _MARKS for form in forms(mark)]


def secret_marks() -> list[bytes]:
    return forms(SECRET)


def holds(data: bytes, needles: Iterable[bytes]) -> bool:
    return any(needle in data for needle in needles)


def files_with(folder: Path, needles: Iterable[bytes]) -> set[str]:
    """Return the files below a folder that hold one of the needles, relative to it."""
    wanted = list(needles)
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix() for path in files if holds(_bytes(path), wanted)}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a lock or an object on its way
        return b""


def columns_with(database: Path, needles: Iterable[bytes]) -> set[str]:
    """Return the columns of Airflow's database, as `table.column`, that hold one of the needles."""
    wanted = list(needles)
    session = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)
    try:
        return {place for place, data in _cells(session) if holds(data, wanted)}
    finally:
        session.close()


def _cells(session: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    tables = [row[0] for row in session.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        rows = session.execute(f'SELECT * FROM "{table}"')
        names = [column[0] for column in rows.description]
        for row in rows:
            for name, value in zip(names, row, strict=True):
                yield f"{table}.{name}", value if isinstance(value, bytes) else str(value).encode()


def processes_with(needles: Iterable[bytes]) -> set[int]:
    """Return the processes of this machine that carry a needle in their arguments or environment."""
    wanted = list(needles)
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                if holds(Path("/proc", pid, name).read_bytes(), wanted):
                    found.add(int(pid))
            except OSError:
                continue
    return found
