"""Runs in every phase, all the time: submitted over REST as pipelines do, with a key that makes trying again safe."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from faults.ground import Ground

LINES = 20
RESULT_FILES = 20
_PROGRAM = """
import os, pathlib, signal, sys, time

{on_term}
result = pathlib.Path(os.environ["RESULT_DIR"])
with open(result / "starts.txt", "a") as starts:
    starts.write("start\\n")
for number in range({lines}):
    print("line", number, flush=True)
    time.sleep({seconds} / {lines})
for number in range({files}):
    (result / f"{{number}}.bin").write_bytes(bytes(20_000))
(result / "model.txt").write_text("trained")
"""
_TRAPS = 'signal.signal(signal.SIGTERM, lambda *_: (print("stopping", flush=True), sys.exit(0)))'
_PAUSE_SECONDS = 0.5
_PATIENCE_SECONDS = 300


@dataclass
class Load:
    """Keeps `wanted` runs going; `accepted` is every model id that the service gave for a key of ours."""

    ground: Ground
    rng: random.Random
    wanted: int
    accepted: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop, self._abandoned = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep_going)
        self._keys = 0
        self._token = ""

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        self.stop()

    def stop(self) -> None:
        """Submit no more; what was submitted without an answer is asked for until there is one."""
        self._stop.set()
        self._thread.join()

    def look(self) -> bool:
        """Read all runs; return whether the service answered."""
        with suppress(httpx.HTTPError, ValueError, KeyError):
            page = self._ask("GET", "/v3/models?limit=1000")
            self.runs = {run["model_id"]: run for run in page["resources"]}
            return True
        return False

    def any_in(self, phase: str) -> bool:
        return any(run["phase"] == phase for run in self.runs.values())

    @property
    def going(self) -> list[str]:
        return sorted(model_id for model_id, run in self.runs.items() if not run["finished_at"])

    def _keep_going(self) -> None:
        while not self._stop.is_set():
            if self.look() and len(self.going) < self.wanted:
                self._hand_in()
            self._stop.wait(_PAUSE_SECONDS)

    def _hand_in(self) -> None:
        """Submit one run, and try with the same key until there is an answer."""
        self._keys += 1
        key, deadline = f"fault-{self._keys}", time.monotonic() + _PATIENCE_SECONDS
        manifest, model = self.ground.yard.files("fails-with-3", str, self._program())
        while time.monotonic() < deadline and not self._abandoned.is_set():
            with suppress(httpx.HTTPError, ValueError, KeyError):
                parts = {"manifest": (manifest.name, manifest.read_bytes()), "zip": (model.name, model.read_bytes())}
                self.accepted[key] = self._ask("POST", "/v3/models", files=parts, key=key)["model_id"]
                return
            time.sleep(_PAUSE_SECONDS)
        if not self._abandoned.is_set():
            raise TimeoutError(f"no answer to {key} for {_PATIENCE_SECONDS} s")

    def _program(self) -> str:
        seconds, traps = self.rng.uniform(1, 6), self.rng.random() < 0.5
        on_term = _TRAPS if traps else ""
        return _PROGRAM.format(on_term=on_term, lines=LINES, seconds=seconds, files=RESULT_FILES)

    def _ask(self, verb: str, place: str, key: str = "", **options: Any) -> Any:
        client = json.loads((self.ground.stack.folder / "client.json").read_text())
        if not self._token:
            account = {"username": client["username"], "password": client["password"]}
            answer = httpx.post(f"{client['url']}/auth/token", json=account, timeout=10)
            self._token = answer.raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {self._token}", **({"Idempotency-Key": key} if key else {})}
        answer = httpx.request(verb, client["url"] + place, headers=headers, timeout=30, **options)
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise AssertionError(answer.text)
        return answer.raise_for_status().json()


def phases() -> Iterator[str]:
    """Yield the phases that faults are aimed at, for ever, each as often as the others."""
    while True:
        yield from ("validating", "staging", "waiting-for-gpu", "training", "storing")
