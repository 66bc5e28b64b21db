"""What holds after any fault; each check returns what breaks it, in sentences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faults.actions import Toll
from faults.load import LINES, RESULT_FILES

if TYPE_CHECKING:
    from faults.ground import Ground

_LEFT = {"logs", "state", "stored", "dataset"}
# The infrastructure's, or the program's that was killed, by code.
_LOSSES = ("S100", "S101", "S102", "S103")
_OWN_END = ("C201", "C202")
_NO_ROOM = ("S301", "S302", "S303", "S304", "S305", "S500", "C201")
_NOT_STORED = ("S303", "S304", "S305")
RETRIES = 2


@dataclass(frozen=True)
class End:
    """What is there when everything has come to rest. `accepted` maps our keys to model ids."""

    ground: Ground
    toll: Toll
    accepted: dict[str, str]
    runs: dict[str, dict[str, Any]]


def listed(end: End) -> Iterator[str]:
    """Every accepted run is listed, each key has a run of its own, and no run is there that nobody asked for."""
    ids = list(end.accepted.values())
    yield from (f"{model_id} was accepted and is not listed" for model_id in ids if model_id not in end.runs)
    yield from (f"{model_id} is listed and was not accepted" for model_id in end.runs if model_id not in ids)
    if len(set(ids)) < len(ids):
        yield f"{len(ids)} keys have {len(set(ids))} runs"


def terminal(end: End) -> Iterator[str]:
    """Every run ends in one state, and as it should where no fault took what it needed."""
    for model_id, run in end.runs.items():
        code = (run["outcome"] or {}).get("code")
        if not run["finished_at"]:
            yield f"{model_id} has not ended: {run['phase']}"
        elif run["state"] != "completed" and not _is_explained(end.toll, model_id, code):
            yield f"{model_id} ended as {run['state']} with {code}: {run['outcome']}"


def _is_explained(toll: Toll, model_id: str, code: str | None) -> bool:
    return (
        (code in _LOSSES and toll.lost(model_id) > RETRIES)
        or (code in _OWN_END and model_id in toll.programs)
        or (code in _NO_ROOM and model_id in toll.full)
    )


def trained_once(end: End) -> Iterator[str]:
    """A program runs once, and once more for every pod that was taken."""
    for model_id, run in end.runs.items():
        if run["state"] != "completed":
            continue
        starts = len(_stored(end, model_id, "starts.txt").splitlines())
        if not 1 <= starts <= 1 + end.toll.lost(model_id):
            yield f"{model_id} was started {starts} times, {end.toll.lost(model_id)} pods were taken"


def stored(end: End) -> Iterator[str]:
    """A completed run has its whole model and its whole log in the bucket, no line lost or repeated."""
    whole = [f"line {number}" for number in range(LINES)]
    for model_id, run in end.runs.items():
        if run["state"] != "completed":
            continue
        log = _stored(end, model_id, "learner-1/training-log.txt").splitlines()
        taken = end.toll.lost(model_id)
        trapped = log[-1:] == ["stopping"] and taken  # it said 0 when it was asked to stop: its own word
        if not trapped and (log[-LINES:] != whole or (not taken and log != whole)):
            yield f"{model_id} has a log of {len(log)} lines that ends {log[-2:]}"
        files = end.ground.yard.results(model_id)
        if not trapped and (
            files.get("model.txt") != len("trained") or sum(name.endswith(".bin") for name in files) != RESULT_FILES
        ):
            yield f"{model_id} is completed without its model: {sorted(files)[:5]}"


def reported(end: End) -> Iterator[str]:
    """The outcome in the bucket is the one that is shown."""
    for model_id, run in end.runs.items():
        code = (run["outcome"] or {}).get("code")
        text = _stored(end, model_id, "learner-1/outcome.txt")
        could_tell = model_id not in end.toll.full and code not in _NOT_STORED
        if code and could_tell and code not in text:
            yield f"{model_id} shows {code}, its outcome.txt says {text!r}"


def nothing_left(end: End) -> Iterator[str]:
    """No pod, dataset hold, folder, pool slot, step or half file remains."""
    yield from (f"{pod} is still there" for pod in end.ground.yard.pods() if pod.startswith("pod/training-"))
    workspace = end.ground.workspace
    for run in workspace.glob("runs/*/*"):
        kept = end.runs.get(run.name, {}).get("state") != "completed"
        if extra := {path.name for path in run.iterdir()} - _LEFT - ({"result", "attempts"} if kept else set()):
            yield f"{run.name} left {sorted(extra)} in the workspace"
    holds = {f"{run['training_id']}.{model_id}" for model_id, run in end.runs.items()}
    for path in workspace.rglob("*"):
        if path.name.endswith(".part") or (path.name in holds and "datasets" in path.parts):
            yield f"{path.relative_to(workspace)} is left in the workspace"
    for pool in end.ground.yard.airflow("/api/v2/pools").json()["pools"]:
        if pool["occupied_slots"] or pool["deferred_slots"]:
            yield f"pool {pool['name']} has slots in use"
    yield from (f"{each.pid} still runs a step" for each in end.ground.steps())
    yield from (f"{each.pid} waits for a scheduler that has ended" for each in end.ground.orphans())
    yield from (f"{model_id}'s program still runs" for _, model_id in end.ground.programs())


def connected(end: End) -> Iterator[str]:
    """The connections are those of the trainings that are listed."""
    connections = end.ground.yard.airflow("/api/v2/connections?limit=10000").json()["connections"]
    owners = {each["connection_id"].rpartition(".")[0] for each in connections}
    trainings = {run["training_id"] for run in end.runs.values()}
    yield from (f"{owner} has connections and no run" for owner in owners if _is_training(owner, trainings))


def _is_training(owner: str, trainings: set[str]) -> bool:
    return owner.startswith("training-") and owner not in trainings


def _stored(end: End, model_id: str, name: str) -> str:
    try:
        return end.ground.yard.stored(model_id, name)
    except FileNotFoundError:
        return ""


INVARIANTS: tuple[Callable[[End], Iterator[str]], ...] = (
    listed,
    terminal,
    trained_once,
    stored,
    reported,
    nothing_left,
    connected,
)


def broken(end: End) -> list[str]:
    """Return what breaks any of them."""
    return [f"{check.__name__}: {sentence}" for check in INVARIANTS for sentence in check(end)]


def search_broken(
    search: Mapping[str, Any],
    total: int,
    runs: Sequence[Mapping[str, Any]],
    starts: Mapping[str, int],
    study: Mapping[str, Any],
) -> Iterator[str]:
    """Yield what of a search is not as it should be when it has ended, in sentences: nothing has taken its pods."""
    trials = search["trials"]
    numbers = [trial["number"] for trial in trials]
    if numbers != list(range(total)):
        yield f"its trials are {numbers}, not 0 to {total - 1}"
    yield from (f"trial {trial['number']} is {trial['state']}" for trial in trials if trial["state"] != "completed")
    known = {trial["model_id"] for trial in trials}
    yield from (f"{run['model_id']} is a run of no trial" for run in runs if run["model_id"] not in known)
    yield from (f"{lost} has no run" for lost in sorted(known - {run["model_id"] for run in runs}))
    yield from (f"{model_id} was started {count} times" for model_id, count in starts.items() if count != 1)
    points = Counter(json.dumps(trial["point"], sort_keys=True) for trial in trials)
    yield from (f"{count} trials have the point {point}" for point, count in points.items() if count > 1)
    stored = [(trial["user_attrs"]["number"], trial["state"]) for trial in study["trials"]]
    if stored != [(number, "COMPLETE") for number in range(total)]:
        yield f"study.json has {stored}"
