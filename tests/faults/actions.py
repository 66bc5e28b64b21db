"""The faults: each does its harm to a running stack, and undoes what nobody else would undo."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from faults.titles import title
from trainyard.local.parts import API_SERVER, CLUSTER, OBJECT_STORE

if TYPE_CHECKING:
    from faults.ground import Ground

AIRFLOW = (API_SERVER, "scheduler", "dag-processor", "triggerer")
SERVERS = (*AIRFLOW, CLUSTER, OBJECT_STORE)
# Longer than after which Airflow calls a part unhealthy (30 s), and a step dead (90 s).
_PAUSED_SECONDS = 35.0
_SILENT_SECONDS = 100.0
_SILENCE = "silence"
_API_SECONDS = (3.0, 20.0)
_FULL_SECONDS = 6.0
_GONE_SECONDS = (0.0, 15.0)


@dataclass
class Toll:
    """What faults took of runs, by model id: pods, programs, and room in the workspace, each time a pod's too."""

    pods: Counter[str] = field(default_factory=Counter)
    programs: set[str] = field(default_factory=set)
    full: Counter[str] = field(default_factory=Counter)

    def lost(self, model_id: str) -> int:
        """Return how many pods of a run the infrastructure may have taken: none starts where nothing can be written."""
        return self.pods[model_id] + self.full[model_id]


@dataclass(frozen=True)
class Scene:
    """Where a fault happens; `going` returns the runs that have not ended."""

    ground: Ground
    rng: random.Random
    toll: Toll
    going: Callable[[], list[str]]


def kill_server(scene: Scene) -> str:
    """Kill a part, alone or with its children, and start it again at once or after a while."""
    name, whole = scene.rng.choice(SERVERS), scene.rng.random() < 0.5
    return kill_part(scene.ground, name, whole=whole and name != CLUSTER, pause=scene.rng.uniform(*_GONE_SECONDS))


def kill_part(ground: Ground, name: str, *, whole: bool, pause: float) -> str:
    """Kill a part, with its children where it is to go as a whole, and start it again after so many seconds."""
    if server := ground.part(name):
        _kill([*server.children(recursive=True), server] if whole else [server])
    time.sleep(pause)
    ground.up()
    return f"{name}{' with its children' if whole else ''}"


def pause_server(scene: Scene) -> str:
    """Stop a part in its tracks for longer than its heartbeat."""
    name = scene.rng.choice(SERVERS)
    if server := scene.ground.part(name):
        _pause([server], _PAUSED_SECONDS)
    scene.ground.up()
    return name


def kill_step(scene: Scene) -> str:
    """Kill a supervisor or the step itself."""
    if found := scene.ground.steps():
        victim = scene.rng.choice(found)
        name = title(victim)
        _kill([victim])
        return name
    return "nothing: no step ran"


def kill_idle_worker(scene: Scene) -> str:
    """Kill a worker that waits for a step, as a machine without memory does."""
    if found := scene.ground.idle_workers():
        _kill([scene.rng.choice(found)])
        return f"one of {len(found)}"
    return "nothing: no worker was idle"


def pause_step(scene: Scene) -> str:
    """Stop a step in its tracks for a while."""
    if found := scene.ground.steps():
        victim = scene.rng.choice(found)
        _pause([victim], scene.rng.uniform(2, 15))
        return title(victim)
    return "nothing: no step ran"


def silence_step(scene: Scene) -> str:
    """Stop a step for so long that Airflow takes it for dead; other faults come meanwhile, then it goes on."""
    if found := scene.ground.steps():
        victim = scene.rng.choice(found)
        threading.Thread(target=_pause, args=([victim], _SILENT_SECONDS), name=_SILENCE, daemon=True).start()
        return title(victim)
    return "nothing: no step ran"


def sleep_all(scene: Scene) -> str:
    """Stop everything for so long that every heartbeat is late, as a laptop does that is closed."""
    found = scene.ground.stack.processes()
    _pause(found, _SILENT_SECONDS)
    scene.ground.up()
    return f"{len(found)} processes"


def delete_pod(scene: Scene) -> str:
    """Delete a pod behind the service's back, at once or with its grace."""
    pods = [name for name in scene.ground.yard.pods() if name.startswith("pod/training-")]
    if not pods:
        return "nothing: no pod ran"
    pod = scene.rng.choice(pods)
    run = scene.ground.yard.kubectl("get", pod, "-o", "jsonpath={.metadata.labels}")
    force = ("--grace-period=0", "--force") if scene.rng.random() < 0.5 else ()
    for model_id in scene.going():
        if model_id in run:
            scene.toll.pods[model_id] += 1
    with suppress(subprocess.CalledProcessError):  # it may have gone meanwhile
        scene.ground.yard.kubectl("delete", pod, "--wait=false", *force)
    return f"{pod} {' '.join(force)}".rstrip()


def kill_program(scene: Scene) -> str:
    """Kill the training program itself: its own end, for which nobody tries again."""
    if found := scene.ground.programs():
        victim, model_id = scene.rng.choice(found)
        scene.toll.programs.add(model_id)
        _kill([victim])
        return model_id
    return "nothing: no program ran"


def fill_workspace(scene: Scene) -> str:
    """Let nothing more fit into the workspace for a while."""
    if not scene.ground.bounded:
        return "nothing: the workspace could not be bounded here"
    filler = scene.ground.workspace / "filler"
    met = set(scene.going())
    try:
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(2**20))
        time.sleep(_FULL_SECONDS)
    finally:
        scene.toll.full.update(met.union(scene.going()))
        filler.unlink(missing_ok=True)
    return "filled"


def break_api(scene: Scene) -> str:
    """Let the cluster's API answer 500, 429 or 409 to everything, or cut every connection."""
    status = scene.rng.choice((500, 429, 409, 0))
    api = scene.ground.api
    if api is None:
        return "nothing: there is no cluster"
    try:
        api.status = status
        time.sleep(scene.rng.uniform(*_API_SECONDS))
    finally:
        api.status = None
    return str(status or "cut connections")


def restart_all(scene: Scene) -> str:
    """Kill every server at once, and start them all again."""
    _kill([server for name in SERVERS if (server := scene.ground.part(name))])
    scene.ground.up()
    return "all servers"


# Each as often as its number says.
Faults = dict[Callable[[Scene], str], float]
FAULTS: Faults = {
    kill_server: 6,
    pause_server: 1,
    kill_step: 4,
    kill_idle_worker: 1,
    pause_step: 2,
    silence_step: 1,
    delete_pod: 3,
    kill_program: 1,
    fill_workspace: 1,
    break_api: 3,
    restart_all: 1,
    sleep_all: 0.2,
}


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def wait_for_the_silent() -> None:
    """Return when every step that was silenced goes on."""
    for thread in threading.enumerate():
        if thread.name == _SILENCE:
            thread.join()


def _pause(processes: list[psutil.Process], seconds: float) -> None:
    """Stop processes in their tracks, and let them go on whatever happens meanwhile."""
    try:
        for process in processes:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
    finally:
        for process in processes:
            with suppress(psutil.Error, ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
