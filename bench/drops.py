"""A hundred drops at once through an account with a quota of four GPUs: nothing lost, nothing trained twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.stacks import fresh_stack, front_door, object_store
from trainyard.answers.runs import RunAnswer
from trainyard.client.rest import RestClient
from trainyard.local.demo import EXAMPLE, prepare, put_data
from trainyard.local.inbox import BUCKET
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

DROPS, ACCOUNT, QUOTA = 100, "default", 4
# More than the quota: what holds the account back is its quota then, not the machine.
_CLUSTERS_GPUS = 2 * QUOTA
_PROGRAM = "import time\n\ntime.sleep(0.2)\n"
_ACCEPT_SECONDS, _DONE_SECONDS = 600, 1800
_OVER = ("Succeeded", "Failed")

Say = Callable[[str], None]


def measure(say: Say) -> list[Figure]:
    """Time until all are accepted and until all have ended; raise AssertionError if one run is not accounted for."""
    with fresh_stack(say, _CLUSTERS_GPUS) as stack, _pods_of(stack) as pods, front_door(stack) as door:
        put_data(stack.folder / "objects")
        drops = _prepared(stack)
        begun, at = time.monotonic(), time.time()
        for drop in drops:
            drop.rename(_inbox(stack) / drop.name)
        assert wait_for(lambda: _all_accepted(stack), _ACCEPT_SECONDS), f"accepted: {len(_accepted(stack))}"
        accepted = time.monotonic() - begun
        say(f"{DROPS} drops accepted after {accepted:.0f} s")
        assert wait_for(partial(_all_ended, door, set(), say), _DONE_SECONDS), "not all runs have ended"
        done = time.monotonic() - begun
        runs = door.runs()
        _account_for_all(stack, runs, pods)
    ends = sorted(datetime.fromisoformat(str(run.finished_at)).timestamp() - at for run in runs)
    return [
        Figure(f"{DROPS} drops at once, until all are accepted", [accepted], "s"),
        Figure(f"{DROPS} drops at once, until the first is done", ends[:1], "s"),
        Figure(f"{DROPS} drops at once, until half are done", [ends[DROPS // 2 - 1]], "s"),
        Figure(f"{DROPS} drops at once, until all are done", [done], "s"),
        Figure(f"{DROPS} drops at once, most GPUs held", [pods.most], "GPUs", QUOTA),
    ]


def _prepared(stack: Stack) -> list[Path]:
    """Make the drops beside the inbox, so that each of them gets there whole."""
    example, target = stack.folder / "bench" / "tiny", stack.folder / "bench" / "drops"
    (example / "model").mkdir(parents=True)
    (example / "model" / "train.py").write_text(_PROGRAM)
    (example / "manifest.yml").write_text((EXAMPLE.parent / "fails-with-3" / "manifest.yml").read_text())
    manifest, model = prepare(example, stack.folder / "bench", *object_store(stack))
    text, packed = manifest.read_text(), model.read_bytes()
    made = [target / f"drop-{number:03}" for number in range(DROPS)]
    for drop in made:
        drop.mkdir(parents=True)
        (drop / "manifest.yml").write_text(text.replace("name: fails-with-3", f"name: {drop.name}"))
        (drop / "model.zip").write_bytes(packed)
    _inbox(stack).mkdir(parents=True, exist_ok=True)
    return made


def _inbox(stack: Stack) -> Path:
    return stack.folder / "objects" / BUCKET / "inbox" / ACCOUNT


def _accepted(stack: Stack) -> list[str]:
    folder = stack.folder / "objects" / BUCKET / "accepted" / ACCOUNT
    return [path.name for path in folder.glob("training-*")]


def _all_accepted(stack: Stack) -> bool:
    """Say whether all drops have left the inbox; a refused one would have left it too."""
    return len(_accepted(stack)) >= DROPS and not any(path.is_file() for path in _inbox(stack).rglob("*"))


def _all_ended(door: RestClient, reported: set[int], say: Say) -> bool:
    ended = sum(run.finished_at is not None for run in door.runs())
    if ended // 10 not in reported:
        reported.add(ended // 10)
        say(f"{ended} of {DROPS} runs have ended")
    # Asking costs the service time that the runs need: a figure in minutes is exact enough by some seconds.
    time.sleep(0 if ended >= DROPS else 2)
    return ended >= DROPS


def _account_for_all(stack: Stack, runs: list[RunAnswer], pods: _Pods) -> None:
    ids = {run.model_id for run in runs}
    names = {run.name for run in runs}
    assert len(runs) == len(ids) == len(names) == DROPS, f"{len(runs)} runs, {len(ids)} ids, {len(names)} names"
    assert sorted(ids) == sorted(_accepted(stack)), "what was accepted is not what is listed"
    assert {run.state for run in runs} == {"completed"}, {run.state for run in runs}
    assert len(pods.seen) == DROPS, f"{len(pods.seen)} pods for {DROPS} runs"
    assert pods.most <= QUOTA, f"{pods.most} GPUs were held, of {QUOTA}"


class _Pods:
    """Every pod there was, and how many GPUs pods held at the same time, as the cluster reports it change by change."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.most = 0
        self._held: dict[str, int] = {}

    def note(self, change: str, pod: Any) -> None:
        name, phase = pod.metadata.name, pod.status.phase
        self.seen.add(name)
        limits = (pod.spec.containers[0].resources.limits or {}) if pod.spec.containers[0].resources else {}
        holds = change != "DELETED" and pod.spec.node_name and phase not in _OVER
        self._held[name] = int(limits.get("nvidia.com/gpu", 0)) if holds else 0
        self.most = max(self.most, sum(self._held.values()))


@contextmanager
def _pods_of(stack: Stack) -> Iterator[_Pods]:
    """Watch the stack's pods in a thread."""
    from kubernetes import client, config, watch
    from urllib3.exceptions import HTTPError

    api = client.CoreV1Api(config.new_client_from_config(str(stack.folder / "cluster" / "kubeconfig")))
    pods, watching, ending = _Pods(), watch.Watch(), threading.Event()

    def follow() -> None:
        while not ending.is_set():  # each look goes on where the last one ended, so no pod is missed
            seen = {"resource_version": watching.resource_version} if watching.resource_version else {}
            try:
                for event in watching.stream(api.list_namespaced_pod, "default", timeout_seconds=10, **seen):
                    pods.note(event["type"], event["object"])
            except HTTPError:
                if not ending.is_set():
                    raise

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield pods
    finally:
        ending.set()
        watching.stop()
        thread.join(15)
