"""How long a page takes in the api-server among ten thousand runs, on SQLite."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.figures import Figure
from bench.listing import RUNS, api_server, environment_of, prepare

ROUNDS, WARMUPS = 60, 3
_GOAL_MS = 150
_PLACES = {
    "trainings, first page": "/trainyard/",
    "trainings, by name": "/trainyard/?sort=name&up=1",
    "trainings, what changes": "/trainyard/?part=live",
    "trainings, failed": "/trainyard/?state=error",
    "experiments": "/trainyard/experiments",
    "queue and quota": "/trainyard/quota",
}

Say = Callable[[str], None]


def measure(say: Say) -> list[Figure]:
    """Time the pages as a member of the accounts sees them."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        environment = environment_of(Path(folder), None)
        prepare(environment, "SQLite", say)
        with api_server(Path(folder), environment) as door:
            return _figures(door, say)


def _figures(door: httpx.Client, say: Say) -> list[Figure]:
    found = re.search(r'data-id="([\w-]+)"', door.get("/trainyard/").raise_for_status().text)
    if found is None:
        raise RuntimeError("the first page lists no run")
    run = f"/trainyard/runs/{found[1]}"
    places = {**_PLACES, "a run": run, "a run, manifest": f"{run}/manifest"}
    taken: dict[str, list[float]] = {name: [] for name in places}
    for turn in range(-WARMUPS, ROUNDS):
        for name, place in places.items():
            begun = time.perf_counter()
            door.get(place).raise_for_status()
            if turn >= 0:
                taken[name].append(1000 * (time.perf_counter() - begun))
    say(f"{ROUNDS} times {len(places)} pages read")
    return [Figure(f"{name}, of {RUNS:,} runs", each, "ms", _GOAL_MS, 95) for name, each in taken.items()]
