"""Runs of several learners: how soon all of them start, how soon all end after one, and how busy they keep a quota."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from bench.figures import Figure
from bench.podtimes import idle_percent, pod_times
from bench.stacks import fresh_stack, front_door
from bench.tiny import Tiny, of_program
from trainyard.client.rest import RestClient
from trainyard.domain.names import RunKey
from trainyard.domain.states import State
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack
from trainyard.workspace.layout import Workspace, started_at

# All of it takes a quarter of an hour; RUNS=12 SECONDS=10 three minutes.
RUNS = int(os.environ.get("RUNS", "50"))
SECONDS = float(os.environ.get("SECONDS", "30"))
_TURNS, _MANY, _EACH, _QUOTA, _GRACE = 7, 8, 4, 16, 5
_RATIO, _OVER_GRACE, _IDLE_PERCENT = 2.0, 2.0, 10.0
_LIMIT_SECONDS = 3600
_QUOTAS = f"accounts:\n  - {{name: default, gpus: {_QUOTA}, members: ['*'], max_hours: 24}}\n"
# The second one fails once all have begun; the others would like to go on.
_ONE_FAILS = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(os.path.join(os.environ["RESULT_DIR"], os.environ["LEARNER_ID"]), "w").close()
while os.environ["LEARNER_ID"] != "2" or len(os.listdir(os.environ["RESULT_DIR"])) < int(os.environ["NUM_LEARNERS"]):
    time.sleep(0.05)
raise SystemExit(3)
"""

Say = Callable[[str], None]


def measure(say: Say) -> Iterator[Figure]:
    """Measure all of it on one stack, with an account that owns sixteen GPUs."""
    with (
        fresh_stack(say, _QUOTA, _QUOTAS, {"TRAINYARD_GRACE_SECONDS": str(_GRACE)}) as stack,
        front_door(stack) as door,
    ):
        yield from _starts(stack, door, say)
        yield _ends(stack, door, say)
        yield from _full(stack, door, say)


def _starts(stack: Stack, door: RestClient, say: Say) -> list[Figure]:
    """Measure both in turn, so that a slow moment of the machine meets both; the first pair warms up and is dropped."""
    one, many = (of_program(stack, f"learners-{count}", "", count) for count in (1, _MANY))
    pairs = []
    for _ in range(_TURNS + 1):
        pairs.append((_start(stack, door, one, 1), _start(stack, door, many, _MANY)))
        say(f"accepted to running: 1 learner {pairs[-1][0]:.2f} s, {_MANY} learners {pairs[-1][1]:.2f} s")
    del pairs[0]
    alone, together = Figure("", [pair[0] for pair in pairs], "s"), Figure("", [pair[1] for pair in pairs], "s")
    ratio = together.percentile(50) / alone.percentile(50)
    return [
        Figure("accepted to program running, 1 learner", alone.values, "s"),
        Figure(f"accepted to all programs running, {_MANY} learners", together.values, "s"),
        Figure(f"{_MANY} learners by 1, of the medians", [ratio], "", _RATIO),
    ]


def _start(stack: Stack, door: RestClient, job: Tiny, learners: int) -> float:
    """Return the seconds from a run's acceptance until the programs of all its learners run."""
    model_id = _hand_in(door, job)
    at = time.time()
    run = Workspace(stack.folder / "workspace").run(RunKey.first_of(model_id))
    each = [run.of_learner(number) for number in range(1, learners + 1)]

    def begun() -> list[float]:
        return [moment for one in each if (moment := started_at(one)) is not None]

    assert wait_for(lambda: len(begun()) == learners, 120), f"{model_id} did not start"
    moments = begun()
    _wait_for_end(door, [model_id])
    return max(moments) - at


def _ends(stack: Stack, door: RestClient, say: Say) -> Figure:
    """Measure from the end of one learner that fails to the end of all, which have to be killed."""
    job, took = of_program(stack, "one-fails", _ONE_FAILS, _EACH), []
    for _ in range(_TURNS):
        with pod_times(stack.folder / "cluster" / "kubeconfig") as times:
            model_id = _hand_in(door, job)
            times.wait(_EACH, 120)
            took.append(max(times.ended.values()) - min(times.ended.values()))
            _wait_for_end(door, [model_id])
        say(f"end of one to end of all: {took[-1]:.2f} s")
    name = f"end of one of {_EACH} learners to end of all, with a grace of {_GRACE} s"
    return Figure(name, took, "s", _GRACE + _OVER_GRACE)


def _full(stack: Stack, door: RestClient, say: Say) -> list[Figure]:
    """Measure how much of the quota's time programs have while there are more runs than it has room for."""
    job = of_program(stack, "lasts", f"import time\n\ntime.sleep({SECONDS})\n", _EACH)
    with pod_times(stack.folder / "cluster" / "kubeconfig") as times:
        ids = [_hand_in(door, job) for _ in range(RUNS)]
        held = times.wait(RUNS * _EACH, _LIMIT_SECONDS)
        _wait_for_end(door, ids)
    whole = max(ended for _, ended in held) - min(begun for begun, _ in held)
    failed = sum(door.run(each).state != State.COMPLETED for each in ids)
    idle, waiting = idle_percent(held, _QUOTA), 100 * (1 - RUNS * _EACH * SECONDS / (_QUOTA * whole))
    say(f"{RUNS} runs of {_EACH} took {whole:.0f} s; GPUs idle {idle:.1f} %, without a program {waiting:.1f} %")
    name = f"GPUs idle, {RUNS} runs x {_EACH} learners x {SECONDS:g} s through a quota of {_QUOTA}"
    return [
        Figure(name, [idle], "%", _IDLE_PERCENT),
        Figure(f"{name}: without a program", [waiting], "%"),
        Figure(f"{name}: runs that have not completed", [failed], "", 0),
    ]


def _hand_in(door: RestClient, job: Tiny) -> str:
    model_id: str = door.submit([("manifest.yml", job.manifest)], job.zip, {}).model_id
    return model_id


def _wait_for_end(door: RestClient, ids: list[str]) -> None:
    assert wait_for(lambda: all(door.run(each).finished_at for each in ids), _LIMIT_SECONDS), "a run does not end"
