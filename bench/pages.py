"""How long a page takes in the api-server among ten thousand runs, on SQLite."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from chromium import signed_in

from bench.figures import Figure
from bench.listing import RUNS, api_server, environment_of, prepare
from bench.metrics import json_lines, read_apart
from bench.usage import seconds_of
from trainyard.local.environment import PROJECT

ROUNDS, WARMUPS = 60, 3
_GOAL_MS = 150
_CURVES, _POINTS, _LOOKS = 5, 1_000_000, 20
# True in the frame after the one in which the last curve was drawn.
_DRAWN = """count => document.querySelectorAll(".chart canvas").length === count
    && new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""
_STATIC = PROJECT / "include" / "trainyard" / "web" / "static"
_PLACES = {
    "trainings, first page": "/trainyard/",
    "trainings, by name": "/trainyard/?sort=name&up=1",
    "trainings, by state": "/trainyard/?sort=state&up=1",
    "trainings, by time": "/trainyard/?sort=duration",
    "trainings, ended last": "/trainyard/?sort=ended",
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
        with api_server(Path(folder), environment) as (door, pid):
            going = _going(door, Path(folder) / "workspace")
            return [*_figures(door, say), _open_page(door, pid, going, say), _curves(door, going, say)]


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


def _going(door: httpx.Client, workspace: Path) -> Path:
    """Return the folder of a run that is going."""
    found = re.search(r'data-id="([\w-]+)"', door.get("/trainyard/?state=running").raise_for_status().text)
    if found is None:
        raise RuntimeError("no run is going")
    (started,) = workspace.glob(f"runs/*/{found[1]}/state/started")
    return started.parents[1]


def _open_page(door: httpx.Client, pid: int, going: Path, say: Say) -> Figure:
    """Ask as a page does that is open on a run which writes metrics, and tell the api-server's share of a core."""
    run = going.name
    page = door.get(f"/trainyard/runs/{run}").raise_for_status().text
    pause = _number(r'data-live="[^"]+" data-seconds="(\d+)"', page)
    curves_pause = _number(r"PAUSE = (\d+)", (_STATIC / "curves.js").read_text("utf-8")) / 1000
    lines = going / "logs" / "metrics.jsonl"
    lines.parent.mkdir(exist_ok=True)
    looks, readings = list[float](), list[float]()
    cursor = ""
    for turn in range(ROUNDS):
        with lines.open("a") as file:
            file.writelines(f'{{"step": {5 * turn + each}, "loss": {1 / (turn + 1)}}}\n' for each in range(5))
        before = seconds_of(pid)
        door.get(f"/trainyard/runs/{run}?part=live").raise_for_status()
        between = seconds_of(pid)
        asked: dict[str, str | int] = {"points": 2000, "since": cursor}
        cursor = door.get(f"/trainyard/v3/models/{run}/metrics", params=asked).raise_for_status().json()["cursor"]
        looks.append(1000 * (between - before))
        readings.append(1000 * (seconds_of(pid) - between))
    look, reading = sum(looks) / ROUNDS, sum(readings) / ROUNDS
    say(f"a look of an open page takes {look:.1f} ms of a processor, one of its curves {reading:.1f} ms")
    share = 100 * (look / pause + reading / curves_pause) / 1000
    return Figure("processor of the api-server, a page open on a live run", [share], "%", 1)


def _curves(door: httpx.Client, going: Path, say: Say) -> Figure:
    """Tell how long somebody waits in a browser until all curves of a run with millions of points are drawn."""
    from playwright.sync_api import sync_playwright

    json_lines(going, _CURVES * _POINTS)
    seconds, _ = read_apart(going)
    say(f"{_CURVES} curves of {_POINTS:,} points written and read, which took {seconds:.1f} s of a processor")
    address = str(door.base_url).rstrip("/")
    place, taken = f"{address}/trainyard/runs/{going.name}", list[float]()
    token = door.headers["Authorization"].removeprefix("Bearer ")
    with sync_playwright() as playwright:
        context = signed_in(playwright, going.parents[3] / "chromium", address, token)
        page = context.new_page()
        for turn in range(-WARMUPS, _LOOKS):
            page.goto("about:blank")
            begun = time.perf_counter()
            page.goto(place)
            page.wait_for_function(_DRAWN, arg=_CURVES)
            if turn >= 0:
                taken.append(1000 * (time.perf_counter() - begun))
        context.close()
    return Figure(f"{_CURVES} curves of {_POINTS:,} points each, shown in a browser", taken, "ms", 1000, 95)


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the page has nothing like {pattern}")
    return float(found[1])
