"""The start of the stack; from accepted to program running, against a bare pod with the same program; new trainings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import known
from bench.figures import Figure
from bench.stacks import fresh_stack, front_door, object_store
from trainyard.cluster.spec import PodRun, WorkspaceVolume, training_pod
from trainyard.core.catalogue import Catalogue
from trainyard.domain.names import RunKey
from trainyard.local.demo import EXAMPLE, prepare, put_data
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack
from trainyard.workspace.layout import Workspace, started_at

RUNS = 7
_LIMIT_SECONDS = 120


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Measure all of it on one stack."""
    begun = time.monotonic()
    with fresh_stack(say) as stack:
        cold = Figure("cold start of the stack", [time.monotonic() - begun], "s")
        put_data(stack.folder / "objects")
        return [cold, *_starts(stack, say), *known.measure(stack, say)]


def _starts(stack: Stack, say: Callable[[str], None]) -> list[Figure]:
    """Measure both in turn, so that a slow moment of the machine meets both; the first pair warms up and is dropped."""
    ours, bare = [], []
    for number in range(RUNS + 1):
        model_id, seconds = _ours(stack)
        ours.append(seconds)
        bare.append(bare_pod(stack, model_id, f"training-bare{number:05d}"))
        say(f"accepted to running: {ours[-1]:.2f} s, bare pod: {bare[-1]:.2f} s")
    ours, bare = ours[1:], bare[1:]
    over = [mine - other for mine, other in zip(ours, bare, strict=True)]
    return [
        Figure("accepted to program running", ours, "s"),
        Figure("the same as a bare pod", bare, "s"),
        Figure("accepted to running, over the bare pod", over, "s", goal=3),
    ]


def _ours(stack: Stack) -> tuple[str, float]:
    manifest, model = prepare(EXAMPLE, stack.folder / "bench", *object_store(stack))
    with front_door(stack) as door:
        accepted = door.submit([(manifest.name, manifest.read_bytes())], model, {})
        at = time.time()
        model_id: str = accepted.model_id
        begun = started(stack, model_id) - at
        assert wait_for(lambda: door.run(model_id).finished_at is not None, _LIMIT_SECONDS)
    return model_id, begun


def bare_pod(stack: Stack, model_id: str, name: str) -> float:
    """Return the seconds from create to program running, as a pod of this name, of what a run that has ended ran.

    Create a pod with the same program by the Kubernetes API alone; its folders are laid out beforehand.
    """
    workspace = Workspace(stack.folder / "workspace")
    training = Catalogue(stack.folder / "catalogue").get(model_id)
    assert training is not None
    run = workspace.run(RunKey.first_of(name))
    for folder in (*run.folders, workspace.root / "bare-data", workspace.root / "bare-checkpoints"):
        folder.mkdir(parents=True, exist_ok=True)
    body = training_pod(
        PodRun(
            key=RunKey.first_of(name),
            attempt=1,
            spec=training.spec,
            plan=training.plan,
            namespace="default",
            volume=WorkspaceVolume(folder=str(workspace.root)),
            dataset_subpath="bare-data",
            run_subpath=workspace.subpath(run.root),
            checkpoints_subpath="bare-checkpoints",
        )
    )
    client = _client(stack.folder / "cluster" / "kubeconfig")
    at = time.time()
    client.create_namespaced_pod("default", body)
    begun = started(stack, name) - at
    client.delete_namespaced_pod(body["metadata"]["name"], "default", grace_period_seconds=0)
    return begun


def _client(kubeconfig: Path) -> Any:
    from kubernetes import client, config

    return client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))


def started(stack: Stack, model_id: str) -> float:
    """Wait for the mark that the wrapper leaves as the program starts; return its time."""
    run = Workspace(stack.folder / "workspace").run(RunKey.first_of(model_id))
    assert wait_for(lambda: started_at(run) is not None, _LIMIT_SECONDS), f"{model_id} did not start"
    begun = started_at(run)
    assert begun is not None
    return begun
