"""How good a search is on a function whose optimum is known, what pruning saves, and how long GPUs wait for it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bench.figures import Figure
from bench.podtimes import gaps, pod_times
from bench.stacks import fresh_stack, front_door
from bench.tiny import Tiny, tiny
from trainyard.core.search.pruning import step_to_stop
from trainyard.core.search.study import ask
from trainyard.core.search.trials import Trial, TrialState, best_of
from trainyard.domain.search import Goal, Pruner, Real, Sampler, SearchSpec
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

# Five seeds of 60 trials take a quarter of an hour on two cores; SEEDS=1 TRIALS=20 is a short one.
SEEDS = int(os.environ.get("SEEDS", "5"))
TRIALS = int(os.environ.get("TRIALS", "60"))
_PARALLEL, _GPUS, _SHORT = 4, 4, 12
_LIMIT_SECONDS = 3600
_ONE_GPU, _FOUR_GPUS = "free", "default"
_NAMES = tuple(f"x{number}" for number in range(6))
_ALPHA = (1.0, 1.2, 3.0, 3.2)
_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
HARTMANN_OPTIMUM = -3.32237
_PROGRAM = f"""
import json, math, os, pathlib, time
x = [float(os.environ[name]) for name in {_NAMES!r}]
value = -sum(
    alpha * math.exp(-sum(a * (one - p) ** 2 for a, one, p in zip(row, x, point)))
    for alpha, row, point in zip({_ALPHA!r}, {_A!r}, {_P!r})
)
time.sleep(1)
pathlib.Path(os.environ["LOG_DIR"], "metrics.jsonl").write_text(json.dumps({{"step": 1, "value": value}}) + "\\n")
"""

Say = Callable[[str], None]


def measure(say: Say) -> Iterator[Figure]:
    """Measure what needs no stack first."""
    yield from _pruning(say)
    seeds = range(SEEDS)
    name = f"Hartmann-6 (best is {HARTMANN_OPTIMUM:.2f}), {TRIALS} trials"
    yield Figure(f"{name}: plain Optuna, one after the other", [_plain(seed) for seed in seeds], "")
    yield Figure(f"{name}: random", [_alone(Sampler.RANDOM, seed) for seed in seeds], "")
    with fresh_stack(say, _GPUS) as stack:
        job = _job(tiny(stack, 1.0), stack)
        yield Figure(
            f"{name}: trainyard, {_PARALLEL} at once", [_searched(stack, job, seed, say) for seed in seeds], ""
        )
        yield from _gaps(stack, job, say)


def hartmann(x: Sequence[float]) -> float:
    return -sum(
        alpha * math.exp(-sum(a * (one - p) ** 2 for a, one, p in zip(row, x, point, strict=True)))
        for alpha, row, point in zip(_ALPHA, _A, _P, strict=True)
    )


def _plain(seed: int) -> float:
    """Return the best value that Optuna finds by itself in one process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(lambda trial: hartmann([trial.suggest_float(name, 0.0, 1.0) for name in _NAMES]), n_trials=TRIALS)
    return study.best_value


def _alone(sampler: Sampler, seed: int) -> float:
    """Return the best value of a search without a service, each trial known before the next."""
    space = {name: Real(0.0, 1.0) for name in _NAMES}
    search = SearchSpec("value", Goal.MINIMIZE, TRIALS, space, sampler=sampler)
    trials: list[Trial] = []
    for number in range(TRIALS):
        point, _ = ask(search, trials, number, 1000 * seed) or ({}, {})
        value = hartmann([float(point[name]) for name in _NAMES])
        trials.append(Trial(number, point, TrialState.COMPLETED, value=value))
    found = best_of(trials, search.goal)
    return found.value if found and found.value is not None else math.nan


def _pruning(say: Say) -> Iterator[Figure]:
    """Measure how many steps of learning curves are saved, and whether the best is found all the same."""
    for pruner in (Pruner.ASHA, Pruner.MEDIAN, Pruner.HYPERBAND):
        taken, lost = zip(*(_curves(pruner, seed) for seed in range(SEEDS)), strict=True)
        goal = 50.0 if pruner is not Pruner.HYPERBAND else None
        figure = Figure(f"steps taken of 40 curves of 81 steps: {pruner}", taken, "%", goal)
        say(f"{figure.name}: {figure.percentile(50):.0f} %")
        yield figure
        yield Figure(f"worse than without: {pruner}", lost, "")


def _curves(pruner: Pruner, seed: int) -> tuple[float, float]:
    search = SearchSpec("acc", Goal.MAXIMIZE, 40, {"q": Real(0.0, 1.0)}, pruner=pruner, sampler=Sampler.RANDOM)
    trials: list[Trial] = []
    steps = 0
    for number in range(40):
        point, _ = ask(search, trials, number, 1000 * seed) or ({}, {})
        trial = Trial(number, point, TrialState.RUNNING)
        for step in range(1, 82):
            steps += 1
            value = float(point["q"]) * (1 - math.exp(-step / 15))
            trial = replace(trial, reported=(*trial.reported, (step, value)), value=value)
            if step_to_stop(search, [*trials, trial], number) is not None:
                trial = replace(trial, state=TrialState.STOPPED)
                break
        else:
            trial = replace(trial, state=TrialState.COMPLETED)
        trials.append(trial)
    best = best_of(trials, search.goal)
    possible = max(float(trial.point["q"]) for trial in trials) * (1 - math.exp(-81 / 15))
    return 100 * steps / (40 * 81), possible - (best.value or 0.0 if best else 0.0)


def _job(like: Tiny, stack: Stack) -> Tiny:
    """Return a training of a second that computes the function at the point of its hyperparameters."""
    import zipfile

    packed = stack.folder / "bench" / "hartmann.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("train.py", _PROGRAM)
    return Tiny(like.manifest, packed, like.command)


def _manifest(job: Tiny, trials: int, parallel: int, seed: int) -> bytes:
    space = {name: {"low": 0.0, "high": 1.0} for name in _NAMES}
    told = {"metric": "value", "goal": "minimize", "trials": trials, "parallel": parallel, "space": space, "seed": seed}
    return job.manifest.rstrip() + b"\nsearch: " + json.dumps(told).encode() + b"\n"


def _searched(stack: Stack, job: Tiny, seed: int, say: Say) -> float:
    """Return the best value of a search on the stack; stop if it has not exactly its trials."""
    with front_door(stack) as door:
        name = f"seed-{seed}"
        given = [("manifest.yml", _manifest(job, TRIALS, _PARALLEL, seed))]
        door.submit(given, job.zip, {"account": _FOUR_GPUS, "experiment": name})
        assert wait_for(lambda: door.search(name).state == "over", _LIMIT_SECONDS)
        found = door.search(name)
    assert [trial.number for trial in found.trials] == list(range(TRIALS)), "trials were lost or doubled"
    assert found.best is not None
    assert found.best.value is not None
    say(f"seed {seed}: {found.best.value:.3f}")
    return found.best.value


def _gaps(stack: Stack, job: Tiny, say: Say) -> Iterator[Figure]:
    """Measure how long a GPU waits for the search: where GPUs are scarce, and where `parallel` is the bound."""
    measured = {
        "runs of a grid of 1 s, 1 GPU": lambda: _grid_gaps(stack, job),
        "trials of 1 s, 1 GPU, parallel 1": lambda: _trial_gaps(stack, job, _ONE_GPU, 1),
        "trials of 1 s, 1 GPU, parallel 2": lambda: _trial_gaps(stack, job, _ONE_GPU, 2),
        f"trials of 1 s, {_GPUS} GPUs, parallel 2": lambda: _trial_gaps(stack, job, _FOUR_GPUS, 2),
    }
    for name, measure_gaps in measured.items():
        figure = Figure(f"idle between two {name}", measure_gaps(), "s")
        say(f"{figure.name}: {figure.percentile(50):.2f} s")
        yield figure


def _trial_gaps(stack: Stack, job: Tiny, account: str, parallel: int) -> list[float]:
    """Return how long a trial's place is idle before its successor's program runs."""
    name = f"gaps-{account}-{parallel}"
    with pod_times(stack.folder / "cluster" / "kubeconfig") as times, front_door(stack) as door:
        given = [("manifest.yml", _manifest(job, _SHORT, parallel, 0))]
        door.submit(given, job.zip, {"account": account, "experiment": name})
        held = times.wait(_SHORT, _LIMIT_SECONDS)
        assert wait_for(lambda: door.search(name).state == "over", _LIMIT_SECONDS)
    assert len(held) == _SHORT, "trials were lost or doubled"
    return gaps(held, min(parallel, 1 if account == _ONE_GPU else _GPUS))


def _grid_gaps(stack: Stack, job: Tiny) -> list[float]:
    values = "    hyperparameters: {" + ", ".join(f"{name}: 0.5" for name in _NAMES) + "}\n"
    manifest = job.manifest.decode().replace("  execution:\n", f"  execution:\n{values}").encode()
    with pod_times(stack.folder / "cluster" / "kubeconfig") as times, front_door(stack) as door:
        fields = {"account": _ONE_GPU, "set": [f"x0=0.1..0.9:{_SHORT}"]}
        door.submit([("manifest.yml", manifest)], job.zip, fields)
        held = times.wait(_SHORT, _LIMIT_SECONDS)
    return gaps(held)
