"""One account keeps the service busy, and has stores that drip: how soon another one's runs are served meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from hostilestore import HostileStore

from bench.figures import Figure
from bench.stacks import fresh_stack, front_door, object_store
from bench.tiny import Tiny, tiny
from trainyard.client.rest import RestClient
from trainyard.domain.states import State
from trainyard.errors import TrainyardError
from trainyard.local.demo import DATA_BUCKET
from trainyard.local.environment import STORES
from trainyard.local.stack import Stack

_BURST, _STORES, _TURNS = 60, 4, 3
# The burst is of programs that end at once, so that there is always much for the service to do.
_BURST_SECONDS, _SECONDS = 1.0, 10.0
_GPUS = 8
# Accounts of the shipped quotas: the one that is busy has four GPUs, the one that is measured has one.
_BUSY, _MEASURED = "default", "free"
_DRIP_SECONDS = 1.0
_REPORTED_SECONDS, _RATIO = 10.0, 1.5
_LIMIT_SECONDS = 600
# Each question costs the api-server some 10 ms of a core, which the runs that are measured want too.
_PAUSE_SECONDS = 0.5
# Buckets of the hostile store: one whose objects drip holds up a staging, one whose listing does holds up a check.
_SLOW_OBJECTS, _SLOW_LISTING = "dripping-object", "drips"

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Jobs:
    """What is submitted: of the busy account, and of the other one a run that is well and one with a wrong secret."""

    burst: Tiny
    well: Tiny
    wrong: bytes


def measure(say: Say) -> Iterator[Figure]:
    """Measure the one account alone, then beside the other: the same runs, on the same stack."""
    with _dripping_stores() as stores, fresh_stack(say, _GPUS) as stack, front_door(stack) as door:
        jobs = _jobs(stack)
        _whole_run(door, jobs.well)  # the first one warms up
        alone = [_whole_run(door, jobs.well) for _ in range(_TURNS)]
        say(f"alone: {_list(alone)}")
        _keep_busy(door, jobs.burst, stack, stores)
        turns = [(_reported(door, jobs), _whole_run(door, jobs.well), _left(door)) for _ in range(_TURNS)]
        for reported, beside, left in turns:
            say(f"beside {left} runs: wrong secret {reported:.2f} s, run {beside:.2f} s")
        assert turns[-1][-1], "the burst was over before the last was measured"
        dripping = sum(store.waiting for store in stores)
        say(f"answers that drip at the end: {dripping}")
        _stop(door)
    yield from _figures(alone, [reported for reported, _, _ in turns], [beside for _, beside, _ in turns])


def _figures(alone: list[float], reported: list[float], beside: list[float]) -> Iterator[Figure]:
    idle = Figure(f"accounts, a run of {_SECONDS:g} s, accepted to completed: alone", alone, "s")
    goal = round(_RATIO * idle.percentile(50), 2)
    yield idle
    yield Figure(f"accounts, the same beside a burst of {_BURST} and {_STORES} dripping stores", beside, "s", goal, 99)
    yield Figure("accounts, accepted to reported, a wrong secret beside these", reported, "s", _REPORTED_SECONDS, 99)


@contextmanager
def _dripping_stores() -> Iterator[list[HostileStore]]:
    """Start the stores and let the next stack connect to them."""
    before = os.environ.get(STORES)
    with ExitStack() as open_ones:
        stores = [open_ones.enter_context(HostileStore(drip_seconds=_DRIP_SECONDS)) for _ in range(_STORES)]
        os.environ[STORES] = ",".join(store.url.removeprefix("http://") for store in stores)
        try:
            yield stores
        finally:
            os.environ.pop(STORES) if before is None else os.environ.update({STORES: before})


def _jobs(stack: Stack) -> _Jobs:
    well = tiny(stack, _SECONDS)
    secret = object_store(stack)[1].secret_key.encode()
    return _Jobs(tiny(stack, _BURST_SECONDS), well, well.manifest.replace(secret, b"wrong" + secret[5:]))


def _keep_busy(door: RestClient, burst: Tiny, stack: Stack, stores: list[HostileStore]) -> None:
    """Submit a burst with the runs that have dripping stores in its midst.

    What comes before them has the service busy with all steps; what comes behind waits for the account's own slots.
    """
    here = object_store(stack)[0]
    for number in range(_BURST):
        if number == _BURST // 2:
            for store, bucket in zip(stores, (_SLOW_OBJECTS, _SLOW_LISTING) * 2, strict=True):
                _submit(door, _with_data_at(burst.manifest, here, store.url, bucket), burst, _BUSY)
        _submit(door, burst.manifest, burst, _BUSY)


def _with_data_at(manifest: bytes, here: str, there: str, bucket: str) -> bytes:
    """Take the training data from another store; it is named before the results are."""
    data, mark, results = manifest.partition(b"training_results_reference")
    data = data.replace(here.encode(), there.encode()).replace(DATA_BUCKET.encode(), bucket.encode())
    return data + mark + results


def _submit(door: RestClient, manifest: bytes, job: Tiny, account: str) -> str:
    model_id: str = door.submit([("manifest.yml", manifest)], job.zip, {"account": account}).model_id
    return model_id


def _whole_run(door: RestClient, job: Tiny) -> float:
    return _seconds_until(door, "completed", _submit(door, job.manifest, job, _MEASURED))


def _reported(door: RestClient, jobs: _Jobs) -> float:
    return _seconds_until(door, "error", _submit(door, jobs.wrong, jobs.well, _MEASURED))


def _seconds_until(door: RestClient, state: str, model_id: str) -> float:
    """Wait until a run that was just accepted is in a state that it never leaves, and say how long that took."""
    accepted = time.monotonic()
    while not State((run := door.run(model_id)).state).terminal:
        assert time.monotonic() < accepted + _LIMIT_SECONDS, f"{model_id} has no end"
        time.sleep(_PAUSE_SECONDS)
    took = time.monotonic() - accepted
    assert run.state == state, f"{model_id}: {run.state}, not {state}: {run.outcome}"
    return took


def _going(door: RestClient) -> list[str]:
    return [run.model_id for run in door.runs({"state": ["pending", "running"]}) if run.account == _BUSY]


def _left(door: RestClient) -> int:
    return len(_going(door))


def _stop(door: RestClient) -> None:
    for model_id in _going(door):
        with suppress(TrainyardError):  # it trains no more
            door.cancel(model_id)


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.2f} s" for value in values)
