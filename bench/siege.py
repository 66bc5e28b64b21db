"""A member and a stranger do their worst: the api-server's memory, and how long others wait meanwhile."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from bench.figures import Figure
from bench.memorylimit import memory_limit
from bench.stacks import fresh_stack
from bench.tiny import Tiny, tiny
from trainyard.domain.names import RunKey
from trainyard.local.environment import USERS
from trainyard.local.parts import API_SERVER
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack
from trainyard.workspace.layout import Workspace

# SUBMISSIONS=300 ZIP_MB=300 LOG_GB=1 SLOW=300 REQUESTS=500 takes two minutes.
SUBMISSIONS = int(os.environ.get("SUBMISSIONS", "10000"))
ZIP_MB = int(os.environ.get("ZIP_MB", "2048"))
LOG_GB = int(os.environ.get("LOG_GB", "10"))
SLOW = int(os.environ.get("SLOW", "2000"))
REQUESTS = int(os.environ.get("REQUESTS", "3000"))
# ATTACKS="large zip,keys" does these alone.
ATTACKS = os.environ.get("ATTACKS", "")
_KEYS = _FILES = 100_000
_ATTACKERS = 8
# As many connections as one member has here for ordinary requests, and how many of them take no answer.
_CONNECTIONS, _SILENT = 100, 50
_GOAL_MB, _GOAL_SECONDS = 600, 1.0
_LIMIT_MB = 1200
_MEMBER = "ada"
_MB = 2**20
_BOUNDARY = "siege"
_FORM = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}

Say = Callable[[str], None]


@dataclass
class Besieged:
    """The stack under attack: where it is, a member's token, an admin's, and something small to submit."""

    url: str
    member: dict[str, str]
    admin: dict[str, str]
    job: Tiny
    pid: int
    workspace: Path
    ended: str  # a run that has ended, whose log is there to be read
    statuses: dict[str, set[int]] = field(default_factory=dict)

    def client(self, **headers: str) -> httpx.Client:
        # Reading the certificates of authorities would cost each client as much as the service spends on its request.
        return httpx.Client(base_url=self.url, headers=headers, timeout=300, trust_env=False, verify=False)

    def note(self, attack: str, status: int) -> None:
        self.statuses.setdefault(attack, set()).add(status)


def measure(say: Say) -> Iterator[Figure]:
    """Attack a stack of its own, one way after the other."""
    before = os.environ.get(USERS)
    os.environ[USERS] = _MEMBER
    try:
        with fresh_stack(say) as stack:
            besieged = _besieged(stack)
            with memory_limit(besieged.pid, _LIMIT_MB * _MB, say):
                for name in ATTACKS.split(",") if ATTACKS else _ATTACKS:
                    yield from _measured(besieged, name, _ATTACKS[name], say)
    finally:
        os.environ.pop(USERS) if before is None else os.environ.update({USERS: before})


def _besieged(stack: Stack) -> Besieged:
    row = stack.status()[API_SERVER]
    passwords = json.loads((stack.folder / "airflow" / "passwords.json").read_text())

    def token(name: str) -> dict[str, str]:
        user = {"username": name, "password": passwords[name]}
        found = httpx.post(f"{row['address']}/auth/token", json=user, timeout=60).json()["access_token"]
        return {"Authorization": f"Bearer {found}"}

    job, admin = tiny(stack, 1), token("admin")
    # The first training takes the stack's processors for some seconds, which is no attack.
    ended = _trained(row["address"], admin, job)
    return Besieged(row["address"], token(_MEMBER), admin, job, row["pid"], stack.folder / "workspace", ended)


def _trained(url: str, token: dict[str, str], job: Tiny) -> str:
    """Train once; return the run's id."""
    with httpx.Client(base_url=url, headers=token, timeout=60, trust_env=False) as client:
        files = {"manifest": ("m.yml", job.manifest), "zip": ("m.zip", job.zip.read_bytes())}
        model_id: str = client.post("/v3/models", files=files).json()["model_id"]
        assert wait_for(lambda: client.get(f"/v3/models/{model_id}").json()["finished_at"] is not None, 300)
    return model_id


def _measured(besieged: Besieged, name: str, attack: Callable[[Besieged], None], say: Say) -> list[Figure]:
    with _others(besieged) as waits, _memory(besieged.pid) as peaks:
        begun = time.monotonic()
        attack(besieged)
        took = time.monotonic() - begun
    answers = sorted(besieged.statuses.get(name, ()))
    say(f"{name}: {took:.0f} s, answers {answers}, longest wait {max(waits):.2f} s, {max(peaks):.0f} MB")
    return [
        Figure(f"siege, {name}: requests of others", waits, "s", _GOAL_SECONDS, 99),
        Figure(f"siege, {name}: most memory of the api-server", [max(peaks)], "MB", _GOAL_MB),
    ]


@contextmanager
def _others(besieged: Besieged) -> Iterator[list[float]]:
    """Ask as somebody else, all the time; give how long each answer took, in seconds."""
    waits: list[float] = []

    def ask(over: threading.Event) -> None:
        with besieged.client(**besieged.admin) as client:
            while not over.wait(0.05):
                begun = time.monotonic()
                assert client.get("/v3/models", params={"limit": 20}).status_code == 200
                waits.append(time.monotonic() - begun)

    with _beside(ask):
        assert wait_for(lambda: bool(waits), 60)
        yield waits


@contextmanager
def _memory(pid: int) -> Iterator[list[float]]:
    """Give the memory of a process and its children in MB, again and again."""
    peaks: list[float] = []
    leader = psutil.Process(pid)

    def look(over: threading.Event) -> None:
        while True:
            with suppress(psutil.NoSuchProcess):
                peaks.append(sum(each.memory_info().rss for each in (leader, *leader.children(recursive=True))) / _MB)
            if over.wait(0.1):
                return

    with _beside(look):
        assert wait_for(lambda: bool(peaks), 60)
        yield peaks


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work, over)
        try:
            yield
        finally:
            over.set()
        done.result()


def _at_once(attack: Callable[[int], None], times: int, attackers: int = _ATTACKERS) -> None:
    with ThreadPoolExecutor(attackers) as pool:
        for _ in pool.map(attack, range(times)):
            pass


def _submissions(besieged: Besieged) -> None:
    def hand_in(_: int) -> None:
        _submit(besieged, "submissions", besieged.member, besieged.job.manifest, besieged.job.zip.read_bytes())

    _at_once(hand_in, SUBMISSIONS)


def _keys(besieged: Besieged) -> None:
    wide = b"".join(b"k%d: 1\n" % number for number in range(_KEYS))
    packed = besieged.job.zip.read_bytes()
    _at_once(lambda _: _submit(besieged, "keys", besieged.admin, wide[:_MB], packed), _ATTACKERS)


def _files(besieged: Besieged) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(_FILES):
            archive.writestr(f"{number}", b"")
    _at_once(lambda _: _submit(besieged, "files", besieged.admin, besieged.job.manifest, packed.getvalue()), _ATTACKERS)


def _submit(besieged: Besieged, attack: str, token: dict[str, str], manifest: bytes, packed: bytes) -> None:
    """Hand something in; an admin, who is not limited, where the member's limits would spare the service."""
    with besieged.client(**token) as client:
        files = {"manifest": ("m.yml", manifest), "zip": ("m.zip", packed)}
        besieged.note(attack, client.post("/v3/models", files=files).status_code)


def _large_zip(besieged: Besieged) -> None:
    """Send a zip beyond the limit: with its size announced and without, as the member and without a token."""
    ways = [(token, announced) for token in (besieged.member, {}) for announced in (True, False)]

    def send(number: int) -> None:
        token, announced = ways[number]
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="zip"; filename="z"\r\n\r\n'.encode()
        length = {"Content-Length": str(len(head) + ZIP_MB * _MB)} if announced else {}
        with besieged.client(**token, **_FORM, **length) as client, suppress(httpx.TransportError):
            besieged.note("large zip", client.post("/v3/models", content=_zeros(head)).status_code)

    _at_once(send, len(ways))


def _zeros(head: bytes) -> Iterable[bytes]:
    yield head
    block = bytes(_MB)
    for _ in range(ZIP_MB):
        yield block


def _large_log(besieged: Besieged) -> None:
    """Read a log without an end of line: its last lines, and several times the whole."""
    log = Workspace(besieged.workspace).run(RunKey.first_of(besieged.ended)).training_log
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        file.truncate(LOG_GB * 2**30)

    def read(number: int) -> None:
        wanted = {"last": 1_000_000} if number % 2 else {}
        place = f"/v3/models/{besieged.ended}/logs"
        with besieged.client(**besieged.member) as reader, reader.stream("GET", place, params=wanted) as answer:
            besieged.note("large log", answer.status_code)
            for _ in answer.iter_raw():
                pass

    _at_once(read, 4)
    log.unlink()


def _requests(besieged: Besieged) -> None:
    """Ask for lists and pages over many connections at once, and over some more without taking the answers."""
    places = ("/v3/models?limit=1000", "/trainyard/", "/trainyard/experiments", "/api/v2/dags?limit=100", "/ui/dags")
    host, _, port = besieged.url.removeprefix("http://").partition(":")
    silent = [socket.create_connection((host, int(port)), 5) for _ in range(_SILENT)]
    for each in silent:
        token = besieged.member["Authorization"]
        each.sendall(f"GET /v3/openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode() * 20)

    def ask(number: int) -> None:
        with besieged.client(**besieged.member) as client:
            for _ in range(REQUESTS // _CONNECTIONS):
                besieged.note("requests", client.get(places[number % len(places)]).status_code)

    try:
        _at_once(ask, _CONNECTIONS, _CONNECTIONS)
    finally:
        for each in silent:
            each.close()


def _slow_headers(besieged: Besieged) -> None:
    """Open connections that never say what they want, and some whose headers never end."""
    host, _, port = besieged.url.removeprefix("http://").partition(":")
    open_ones = []
    try:
        for _ in range(SLOW):
            with suppress(OSError):
                open_ones.append(socket.create_connection((host, int(port)), 5))
                open_ones[-1].sendall(b"GET /v3/models HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for each in open_ones[-20:]:
            with suppress(OSError):
                for _ in range(1000):
                    each.sendall(b"a" * 65536)
        for _ in range(20):
            for each in open_ones:
                with suppress(OSError):
                    each.sendall(b"a")
            time.sleep(0.5)
    finally:
        for each in open_ones:
            each.close()


# The submissions come last: they use up what a member may send, and fill the queue.
_ATTACKS: dict[str, Callable[[Besieged], None]] = {
    "large log": _large_log,
    "large zip": _large_zip,
    "keys": _keys,
    "files": _files,
    "slow headers": _slow_headers,
    "requests": _requests,
    "submissions": _submissions,
}
