"""What a pod sees of the file system: its own run, its dataset, room to write, nothing else of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.cluster.run import PodRun, WorkspaceVolume
from trainyard.quantity import memory_text

JOB = "/job"
DATA, MODEL, RESULT, LOGS, STATE = f"{JOB}/data", f"{JOB}/model", f"{JOB}/result", f"{JOB}/logs", f"{JOB}/state"
CHECKPOINTS, HOME, ENVIRONMENT = f"{JOB}/checkpoints", f"{JOB}/home", f"{JOB}/environment"
# What lies in the folder that several learners share as `JOB`: there have to be places to mount the rest at.
PLACES = tuple(
    path.removeprefix(f"{JOB}/") for path in (DATA, MODEL, RESULT, LOGS, STATE, CHECKPOINTS, HOME, ENVIRONMENT)
)
SHARED_MEMORY = "/dev/shm"
TEMPORARY = ("/tmp", "/var/tmp")

_WORKSPACE = "workspace"


def volumes(run: PodRun) -> list[dict[str, Any]]:
    """Return the volumes, each mounted at least once.

    The shared memory may grow to the pod's whole limit: it counts against the memory anyway, and running into the
    memory limit says so, while a full /dev/shm ends data loaders with a bare bus error. HOME and /tmp may each take
    all of the scratch space; the container's limit bounds both together.
    """
    return [
        {"name": _WORKSPACE, **_source(run.volume)},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": memory_text(run.plan.memory)}},
        {"name": "home", "emptyDir": {"sizeLimit": memory_text(run.scratch)}},
        {"name": "temporary", "emptyDir": {"sizeLimit": memory_text(run.scratch)}},
    ]


def mounts(run: PodRun) -> list[dict[str, Any]]:
    """Return the container's mounts; of the workspace only the run's own folders, its dataset, its checkpoints."""
    writable = {
        MODEL: f"{run.run_subpath}/model",
        RESULT: f"{run.run_subpath}/result",
        LOGS: f"{run.learner_subpath}/logs",
        STATE: f"{run.learner_subpath}/state",
        CHECKPOINTS: run.checkpoints_subpath,
    }
    # The programs of 2018 leave words for one another in /job itself. The outer one comes before what lies in it.
    shared = [{"name": _WORKSPACE, "mountPath": JOB, "subPath": run.job_subpath}] if run.several else []
    return [
        *shared,
        {"name": _WORKSPACE, "mountPath": DATA, "subPath": run.dataset_subpath, "readOnly": True},
        *({"name": _WORKSPACE, "mountPath": path, "subPath": subpath} for path, subpath in writable.items()),
        *_environment(run),
        {"name": "shared-memory", "mountPath": SHARED_MEMORY},
        {"name": "home", "mountPath": HOME},
        *({"name": "temporary", "mountPath": path} for path in TEMPORARY),
    ]


def _environment(run: PodRun) -> list[dict[str, Any]]:
    if not run.environment_subpath:
        return []
    mount = {"name": _WORKSPACE, "mountPath": ENVIRONMENT, "subPath": run.environment_subpath}
    return [{**mount, "readOnly": True} if run.environment_ready else mount]


def mounts_workspace(pod: Mapping[str, Any], volume: WorkspaceVolume) -> bool:
    """Say whether a pod, as the API returns it, has its workspace from this volume."""
    parts = [part for part in pod["spec"].get("volumes") or [] if part["name"] == _WORKSPACE]
    wanted = _source(volume)
    return any((part.get(kind) or {}).items() >= source.items() for part in parts for kind, source in wanted.items())


def _source(volume: WorkspaceVolume) -> dict[str, Any]:
    if volume.claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    # `Directory`: a node without the folder is to fail the pod, not to get an empty folder of root's.
    return {"hostPath": {"path": volume.folder, "type": "Directory"}}
