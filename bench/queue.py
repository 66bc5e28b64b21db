"""How long GPUs stand idle though trainings wait for them: between two short ones, and over a burst."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.figures import Figure
from bench.podtimes import gaps, idle_percent, pod_times
from bench.stacks import fresh_stack, front_door
from bench.stock import Stock, stock_airflow
from bench.tiny import Tiny, tiny
from trainyard.core.catalogue import Catalogue
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

# The whole burst takes a quarter of an hour for each of three; BURST=24 SECONDS=10 takes two minutes for each.
BURST = int(os.environ.get("BURST", "100"))
SECONDS = float(os.environ.get("SECONDS", "30"))
_QUEUE, _SHORT, _GPUS = 12, 1.0, 4
_LIMIT_SECONDS = 3600
# Accounts of the shipped quotas.
_ONE_GPU, _FOUR_GPUS = "free", "default"

Held = list[tuple[float, float]]
Say = Callable[[str], None]


def measure(say: Say) -> Iterator[Figure]:
    """Measure each of both on one after the other, on the same cluster."""
    with fresh_stack(say, _GPUS) as stack:
        short, job = tiny(stack, _SHORT), tiny(stack, SECONDS)
        # The first run warms up, and tells the image.
        _ours(stack, short, 1, _FOUR_GPUS)
        with stock_airflow(stack, say) as stock:
            _theirs(stack, stock, short, 1, _GPUS, "warm")
            queue = f"GPU idle between two of {_QUEUE} trainings of {_SHORT:g} s"
            burst = f"GPUs idle, burst of {BURST} x {SECONDS:g} s on {_GPUS}"
            yield _gaps(queue, "trainyard", _ours(stack, short, _QUEUE, _ONE_GPU), say, goal=1)
            yield _gaps(queue, "bare pods", _pods(stack, short, _QUEUE, _GPUS), say)
            yield _gaps(queue, "stock Airflow", _theirs(stack, stock, short, _QUEUE, 1, "queue"), say)
            for whose, action in (
                ("trainyard", lambda: _ours(stack, job, BURST, _FOUR_GPUS)),
                ("bare pods", lambda: _pods(stack, job, BURST, 1)),
                ("stock Airflow", lambda: _theirs(stack, stock, job, BURST, _GPUS, "burst")),
            ):
                yield from _burst(burst, whose, action, say)


def _gaps(name: str, whose: str, held: Held, say: Say, goal: float | None = None) -> Figure:
    figure = Figure(f"{name}: {whose}", gaps(held), "s", goal)
    say(f"{figure.name}: {figure.percentile(50):.2f} s")
    return figure


def _burst(name: str, whose: str, action: Callable[[], Held], say: Say) -> list[Figure]:
    begun = time.time()
    held = action()
    figure = Figure(f"{name}: {whose}", [idle_percent(held, _GPUS)], "%", 5 if whose == "trainyard" else None)
    last = max(ended for _, ended in held)
    lost = [Figure(f"{name}, runs that failed: {whose}", [BURST - len(held)], "")] if len(held) < BURST else []
    say(f"{figure.name}: {figure.values[0]:.1f} %, {last - begun:.0f} s")
    return [figure, Figure(f"{name}, until the last program has ended: {whose}", [last - begun], "s"), *lost]


def _ours(stack: Stack, job: Tiny, count: int, account: str) -> Held:
    with _watched(stack) as times, front_door(stack) as door:
        ids = [_hand_in(door, job, account) for _ in range(count)]
        held = times.wait(count, _LIMIT_SECONDS)
        assert wait_for(lambda: all(door.run(each).finished_at for each in ids[-4:]), _LIMIT_SECONDS)
    return held


def _hand_in(door: Any, job: Tiny, account: str) -> str:
    model_id: str = door.submit([("manifest.yml", job.manifest)], job.zip, {"account": account}).model_id
    return model_id


def _theirs(stack: Stack, stock: Stock, job: Tiny, count: int, slots: int, name: str) -> Held:
    stock.pool(slots)
    with _watched(stack) as times:
        names = [f"{name}-{number:03}" for number in range(count)]
        for each in names:
            stock.hand_in(each, job)
        assert wait_for(lambda: stock.ended(names).total() == count, _LIMIT_SECONDS)
        return times.wait(stock.ended(names)["success"], _LIMIT_SECONDS)


def _pods(stack: Stack, job: Tiny, count: int, gpus: int) -> Held:
    """Create all pods at once and let the cluster do the rest."""
    from kubernetes import client, config

    api = client.CoreV1Api(config.new_client_from_config(str(stack.folder / "cluster" / "kubeconfig")))
    catalogue = Catalogue(stack.folder / "catalogue")
    training = catalogue.get(next(iter(catalogue.ids())))
    assert training is not None
    program = f"import time; time.sleep({_seconds(job)})"
    names = [f"bare-{time.time_ns()}-{number}" for number in range(count)]
    bodies = [_pod(each, training.plan.image, program, gpus) for each in names]
    with _watched(stack) as times:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda body: api.create_namespaced_pod("default", body), bodies):
                pass
        held = times.wait(count, _LIMIT_SECONDS)
    for each in names:
        api.delete_namespaced_pod(each, "default", grace_period_seconds=0)
    return held


def _seconds(job: Tiny) -> float:
    return float(job.zip.stem.removeprefix("lasts-"))


def _pod(name: str, image: str, program: str, gpus: int) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}}
    container = {"name": "learner", "image": image, "command": ["python3", "-c", program], "resources": resources}
    metadata = {"name": name, "namespace": "default"}
    spec = {"restartPolicy": "Never", "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _watched(stack: Stack) -> Any:
    return pod_times(stack.folder / "cluster" / "kubeconfig")
