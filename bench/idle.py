"""What a stack that waits for work costs, and how soon it starts: with no training known and with 1,000."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx

from bench.against import starts
from bench.figures import Figure
from bench.known import fill
from bench.stacks import fresh_stack, front_door
from bench.stock import Stock, stock_airflow
from bench.tiny import Tiny, tiny
from bench.usage import memory, pids_of, processor
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

KNOWN = int(os.environ.get("KNOWN", "1000"))
SECONDS = float(os.environ.get("IDLE_SECONDS", "60"))
# Among a thousand, a generator file takes longer to be parsed than Airflow lets a step: its runs fail.
_TURNS, _STOCK_TURNS = 7, 3
_SUBMISSIONS, _CALLERS = 60, 4
_LIMIT_SECONDS, _STOCK_LIMIT_SECONDS = 1500, 600

Say = Callable[[str], None]


def measure(say: Say) -> Iterator[Figure]:
    """Measure both on one machine at the same time: each is idle while the other works."""
    begun = time.monotonic()
    with fresh_stack(say) as stack:
        yield Figure("cold start with a new database, trainyard", [time.monotonic() - begun], "s")
        stack.down(say)
        yield _up(stack, say)
        job = tiny(stack, 0.2)
        with front_door(stack) as door:
            door.submit([("manifest.yml", job.manifest)], job.zip, {})
        with stock_airflow(stack, say) as stock:
            yield Figure("cold start on its database, stock Airflow", [stock.started_in], "s")
            yield from _with(stack, stock, job, 0, say)
            yield from _fill(stack, stock, job, say)
            yield from _with(stack, stock, job, KNOWN, say)
            yield from _door(stack, job, say)


def _up(stack: Stack, say: Say) -> Figure:
    begun = time.monotonic()
    stack.up(say)
    return Figure("cold start on its database, trainyard", [time.monotonic() - begun], "s")


def _with(stack: Stack, stock: Stock, job: Tiny, known: int, say: Say) -> Iterator[Figure]:
    when = f"{known:,} known" if known else "idle"
    if known:
        yield from (*memory("trainyard", pids_of(stack)), *memory("stock Airflow", stock.pids))
    say(f"{when}: looking at the processors for {SECONDS:.0f} s")
    with ThreadPoolExecutor() as pool:
        mine = pool.submit(processor, f"trainyard, {when}", pids_of(stack), SECONDS)
        theirs = pool.submit(processor, f"stock Airflow, {when}", stock.pids, SECONDS, each=False)
        yield from (*mine.result(), *theirs.result())
    yield from starts(stack, stock, job, _TURNS, 0 if known else _STOCK_TURNS, when, say)


def _fill(stack: Stack, stock: Stock, job: Tiny, say: Say) -> list[Figure]:
    """Let both know so many trainings. A generator file may take longer than Airflow lets it."""
    begun = time.monotonic()
    fill(stack, KNOWN, _LIMIT_SECONDS)
    ours = time.monotonic() - begun
    say(f"trainyard knows {KNOWN} trainings after {ours:.0f} s")
    begun = time.monotonic()
    for number in range(KNOWN - stock.known()):
        stock.hand_in(f"known-{number:05d}", job, runs=False)
    known = wait_for(lambda: stock.known() >= KNOWN, _STOCK_LIMIT_SECONDS)
    theirs = time.monotonic() - begun
    say(f"the stock Airflow {'knows' if known else 'does not know'} them after {theirs:.0f} s")
    figures = [Figure(f"until {KNOWN:,} more are known: trainyard", [ours], "s")]
    return [*figures, *([Figure(f"until {KNOWN:,} more are known: stock Airflow", [theirs], "s")] if known else [])]


def _door(stack: Stack, job: Tiny, say: Say) -> list[Figure]:
    """Submit as fast as one and several callers can, while nothing else is done: the scheduler is halted.

    The alternative is Airflow's own REST: to trigger a run of a DAG that is known, without manifest, zip or check. Of
    several callers at once it answers most with 500 on SQLite, so that there is nothing to compare.
    """
    with _halted(pids_of(stack)["scheduler"]), front_door(stack) as door:
        submit = partial(door.submit, [("manifest.yml", job.manifest)], job.zip, {})
        figures = [_rate("accepted a second, one caller: trainyard", submit, 1)]
        figures.append(_rate(f"accepted a second, {_CALLERS} callers: trainyard", submit, _CALLERS))
        trigger = _trigger(stack, submit().model_id)
        figures.append(_rate("accepted a second, one caller: Airflow's own REST", trigger, 1))
    say("accepted a second: " + ", ".join(f"{figure.values[0]:.1f}" for figure in figures))
    return figures


def _rate(name: str, action: Callable[[], object], callers: int) -> Figure:
    begun = time.monotonic()
    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(action) for _ in range(_SUBMISSIONS)]:
            done.result()
    return Figure(name, [_SUBMISSIONS / (time.monotonic() - begun)], "/s")


def _trigger(stack: Stack, dag_id: str) -> Callable[[], object]:
    from trainyard.client.access import find_access

    access = find_access(None, {}, stack.folder.parent)
    client = httpx.Client(base_url=access.url, timeout=60, trust_env=False)
    account = {"username": access.username, "password": access.password}
    token = client.post("/auth/token", json=account).raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    place = f"/api/v2/dags/{dag_id}/dagRuns"
    assert wait_for(lambda: client.get(f"/api/v2/dags/{dag_id}").is_success, _LIMIT_SECONDS)
    return lambda: client.post(place, json={"logical_date": None}).raise_for_status()


@contextmanager
def _halted(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
