"""How long a page of the list takes among ten thousand runs: the api-server over HTTP, on SQLite and on Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from postgresserver import postgres_server

from bench.figures import Figure
from trainyard.local import parts
from trainyard.local.environment import PROJECT, airflow_environment
from trainyard.local.ports import pick_port
from trainyard.local.ready import wait_for
from trainyard.local.secrets import Secrets

RUNS, PAGE, ROUNDS, WARMUPS = 10_000, 100, 60, 3
_FOLDERS = ("airflow", "catalogue", "workspace", "objects", "cluster")
_GOAL_MS = 100
_STATES = ("completed", "error", "canceled", "running", "pending")

Say = Callable[[str], None]


def measure(say: Say) -> list[Figure]:
    """Time the pages as a member of two accounts sees them: an admin's list looks at less."""
    figures = []
    for kind, server in (("SQLite", nullcontext), ("Postgres", postgres_server)):
        with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder, server() as database:
            environment = environment_of(Path(folder), database)
            prepare(environment, kind, say)
            with api_server(Path(folder), environment) as (door, _):
                figures += _figures(door, kind, say)
    return figures


def environment_of(folder: Path, database: str | None) -> dict[str, str]:
    """Return the environment of an Airflow whose one part that runs will be its api-server."""
    for name in _FOLDERS:
        (folder / name).mkdir()
    environment = airflow_environment(folder, pick_port(0), Secrets.of(folder / "secrets.json"))
    # Anybody may be a member of the shipped accounts; an admin is not who waits for most lists.
    environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = "admin:user"
    if database:
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database
    return {**os.environ, **environment}


def prepare(environment: Mapping[str, str], kind: str, say: Say) -> None:
    begun = time.monotonic()
    _run(environment, "airflow", "db", "migrate")
    say(f"{kind}: database set up in {time.monotonic() - begun:.1f} s")
    begun = time.monotonic()
    folders = (environment["PYTHONPATH"], str(PROJECT / "tests"))
    _run({**environment, "PYTHONPATH": os.pathsep.join(folders)}, "bench.past", str(RUNS))
    say(f"{kind}: {RUNS:,} runs written in {time.monotonic() - begun:.1f} s")


def _run(environment: Mapping[str, str], *words: str) -> None:
    command = (sys.executable, "-m", *words)
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")


@contextmanager
def api_server(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[httpx.Client, int]]:
    """Start Airflow's api-server alone; yield a client that is signed in, and the server's process id."""
    address = environment["AIRFLOW__API__BASE_URL"]
    part = parts.airflow(parts.API_SERVER, environment, int(address.rpartition(":")[2]))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            part.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        if not wait_for(lambda: server.poll() is not None or part.ready(0), part.limit_seconds) or server.poll():
            raise RuntimeError(f"the api-server does not start: {(folder / 'log').read_text()[-2000:]}")
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            account = {"username": "admin", "password": Secrets.of(folder / "secrets.json").password}
            token = client.post("/auth/token", json=account).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client, server.pid
    finally:
        server.terminate()
        server.wait(30)


def _figures(door: httpx.Client, kind: str, say: Say) -> list[Figure]:
    first, total = _timed(door, {})
    if total != RUNS:
        raise RuntimeError(f"{RUNS} runs were written, and {total} are listed")
    asked = _asked(total)
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(-WARMUPS, ROUNDS):  # in turn, so that a slow moment of the machine meets all of them
        for name, queries in asked.items():
            taken, _ = _timed(door, queries[turn % len(queries)])
            if turn >= 0:
                seconds[name].append(taken * 1000)
    say(f"{kind}: {ROUNDS} times {len(asked)} pages read")
    begun = Figure(f"first page after a start, {RUNS:,} runs, {kind}", [first * 1000], "ms")
    pages = [Figure(f"{name} of {RUNS:,} runs, {kind}", each, "ms", _GOAL_MS, 95) for name, each in seconds.items()]
    return [begun, *pages]


def _asked(total: int) -> dict[str, list[dict[str, Any]]]:
    """Return what is asked for, in turns; of every filter the first page."""
    days = (datetime.now(UTC) - timedelta(days=back) for back in (1, 3, 5))
    return {
        "first page": [{}],
        "last page": [{"offset": total - PAGE}],
        "page in one state": [{"state": state} for state in _STATES],
        "page of an experiment": [{"experiment": f"experiment-{number}"} for number in range(0, 100, 7)],
        "page since a time": [{"since": day.isoformat()} for day in days],
        "page by name": [{"name": f"odel-{number}"} for number in range(1, 40, 5)],
    }


def _timed(door: httpx.Client, query: Mapping[str, Any]) -> tuple[float, int]:
    begun = time.perf_counter()
    answer = door.get("/v3/models", params={"limit": PAGE, **query})
    taken = time.perf_counter() - begun
    return taken, int(answer.raise_for_status().json()["total"])
