"""A run on the cluster as one value: its service and its pods, compared whole with the files in tests/golden."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubeschemas
import pytest
import yaml
from pod_samples import FFDL, SMALL, shown
from pod_standard import violations
from podfaults import VERSIONS, faults

from trainyard.cluster.labels import run_selector
from trainyard.cluster.learners import RunObjects, run_objects
from trainyard.cluster.run import PodRun, pod_options
from trainyard.cluster.spec import training_pod
from trainyard.cluster.volumes import PLACES
from trainyard.domain.names import RunKey
from trainyard.domain.training import Framework
from trainyard.settings import read_settings
from trainyard.workspace.layout import RunFolder

GOLDEN = Path(__file__).parents[1] / "golden"

TENSORFLOW = replace(SMALL, plan=replace(SMALL.plan, learners=3, pool_slots=3))
TORCH = replace(
    FFDL,
    spec=replace(FFDL.spec, framework=Framework("pytorch", "2.9"), command="torchrun train.py"),
    plan=replace(FFDL.plan, gpus=4, learners=2, pool_slots=8),
    queue="trainings",
)
HOROVOD = replace(
    SMALL,
    spec=replace(SMALL.spec, framework=Framework("horovod", "0.13"), command="python train.py"),
    plan=replace(SMALL.plan, gpus=2, learners=2, pool_slots=4, launcher="mpirun"),
)
SAMPLES = {"tensorflow-3x1": TENSORFLOW, "torch-2x4-kueue": TORCH, "horovod-2x2": HOROVOD}


def env_of(pod: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0]["env"]}


def environments(run: PodRun) -> list[dict[str, str]]:
    return [env_of(pod) for pod in run_objects(run).pods]


@pytest.mark.parametrize("name", SAMPLES)
def test_all_objects_of_a_run_are_as_recorded(name: str) -> None:
    path, objects = GOLDEN / f"run-{name}.yaml", run_objects(SAMPLES[name])
    found = [objects.service, *map(shown, objects.pods)]
    if os.environ.get("TRAINYARD_WRITE_GOLDEN"):
        path.write_text(yaml.safe_dump_all(found, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    assert found == list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_objects_fit_the_schema_of_every_supported_kubernetes(name: str, version: str) -> None:
    objects = run_objects(SAMPLES[name])
    for one in (objects.service, *objects.pods):
        kubeschemas.check(one, version)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_pods_keep_the_rules_that_no_schema_holds(name: str) -> None:
    for pod in run_objects(SAMPLES[name]).pods:
        assert (faults(pod), list(violations(pod))) == ([], list(violations(training_pod(SAMPLES[name]))))


@pytest.mark.parametrize("run", [SMALL, FFDL], ids=["gpu", "cpu"])
def test_one_learner_alone_is_the_pod_as_ever_and_has_no_service(run: PodRun) -> None:
    assert run_objects(run) == RunObjects(None, (training_pod(run),))
    assert not {"LEARNER_HOSTS", "MASTER_ADDR", "RANK", "TF_CONFIG"} & set(env_of(training_pod(run)))


def test_the_names_by_which_learners_know_each_other_are_those_that_the_cluster_gives_them() -> None:
    objects = run_objects(TENSORFLOW)
    assert objects.service is not None
    service = objects.service["metadata"]["name"]
    named = [f"{pod['spec']['hostname']}.{pod['spec']['subdomain']}" for pod in objects.pods]
    for number, variables in enumerate(environments(TENSORFLOW)):
        prefix = variables["LEARNER_NAME_PREFIX"]
        assert variables["LEARNER_HOSTS"].split(",") == named
        assert f"{prefix}-{number}.{prefix}" == named[number]
        assert (variables["LEARNER_ID"], variables["NUM_LEARNERS"]) == (str(number + 1), "3")
    assert {pod["spec"]["subdomain"] for pod in objects.pods} == {service}


def test_the_service_leads_to_the_pods_of_its_own_attempt_and_is_found_with_the_run() -> None:
    first, second = run_objects(TENSORFLOW), run_objects(replace(TENSORFLOW, attempt=2))
    assert first.service is not None
    assert second.service is not None
    assert first.service["metadata"]["name"] != second.service["metadata"]["name"]
    wanted = first.service["spec"]["selector"].items()
    assert all(wanted <= pod["metadata"]["labels"].items() for pod in first.pods)
    assert not any(wanted <= pod["metadata"]["labels"].items() for pod in second.pods)
    ours = dict(pair.split("=") for pair in run_selector(TENSORFLOW.key).split(","))
    assert ours.items() <= first.service["metadata"]["labels"].items()


def test_names_are_short_enough_for_hosts_whatever_the_run() -> None:
    run = replace(TENSORFLOW, key=RunKey("training-zzzzzzzzz", "training-zzzzzzzzz"), attempt=9_999_999)
    assert all(len(pod["spec"]["hostname"]) < 64 for pod in run_objects(run).pods)


def test_torchrun_finds_all_that_it_asks_for() -> None:
    for number, variables in enumerate(environments(TORCH)):
        found = {name: value for name, value in variables.items() if name.startswith("PET_")}
        assert found == {
            "PET_NNODES": "2",
            "PET_NODE_RANK": str(number),
            "PET_NPROC_PER_NODE": "4",
            "PET_MASTER_ADDR": variables["LEARNER_HOSTS"].split(",")[0],
            "PET_MASTER_PORT": "29500",
        }
        assert variables["MASTER_ADDR"] == variables["PET_MASTER_ADDR"]


def test_a_rank_is_given_where_a_learner_is_one_process_and_nowhere_else() -> None:
    ranks = [(one.get("RANK"), one.get("WORLD_SIZE")) for one in environments(TENSORFLOW)]
    assert ranks == [("0", "3"), ("1", "3"), ("2", "3")]
    assert not any("RANK" in one or "WORLD_SIZE" in one for one in (*environments(TORCH), *environments(HOROVOD)))


def test_tensorflow_alone_finds_its_cluster() -> None:
    for number, variables in enumerate(environments(TENSORFLOW)):
        found = json.loads(variables["TF_CONFIG"])
        assert found["task"] == {"type": "worker", "index": number}
        assert found["cluster"]["worker"] == [f"{host}:2222" for host in variables["LEARNER_HOSTS"].split(",")]
    assert "TF_CONFIG" not in environments(TORCH)[0]


@pytest.mark.parametrize(
    ("gpus", "learners", "command", "processes"),
    [
        (2, 1, "python train.py", "2"),
        (2, 2, "python train.py", "4"),
        (0, 3, "python train.py", "3"),
        (1, 1, "python train.py", None),
        (2, 2, "mpirun -np 4 python train.py", None),
        (2, 1, "horovodrun -np 2 python train.py", None),
    ],
)
def test_an_mpi_frameworks_command_is_started_once_a_gpu_unless_it_does_so_itself(
    gpus: int, learners: int, command: str, processes: str | None
) -> None:
    plan = replace(HOROVOD.plan, gpus=gpus, learners=learners)
    run = replace(HOROVOD, spec=replace(HOROVOD.spec, command=command), plan=plan)
    assert [one.get("LEARNER_PROCESSES") for one in environments(run)] == [processes] * learners


def test_each_learner_has_logs_and_state_of_its_own_and_shares_all_else() -> None:
    folder, mounts = RunFolder(Path(SMALL.run_subpath)), []
    for number, pod in enumerate(run_objects(TENSORFLOW).pods, 1):
        paths = {mount["mountPath"]: mount.get("subPath") for mount in pod["spec"]["containers"][0]["volumeMounts"]}
        own = folder.of_learner(number)
        assert (paths.pop("/job/logs"), paths.pop("/job/state")) == (str(own.logs), str(own.state))
        assert paths["/job"] == str(folder.together / pod["spec"]["subdomain"])
        assert set(paths) >= {f"/job/{place}" for place in PLACES} - {"/job/environment", "/job/logs", "/job/state"}
        mounts.append(paths)
    assert mounts[0] == mounts[1] == mounts[2]
    assert mounts[0]["/job/result"] == str(folder.result)


def test_kueue_is_told_of_the_group_where_it_is_used() -> None:
    assert "kueue" not in str(run_objects(TENSORFLOW))
    objects = run_objects(TORCH)
    groups = {pod["metadata"]["labels"]["kueue.x-k8s.io/pod-group-name"] for pod in objects.pods}
    assert objects.service is not None
    assert groups == {objects.service["metadata"]["name"]}
    for pod in objects.pods:
        assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "trainings"
        assert pod["metadata"]["annotations"]["kueue.x-k8s.io/pod-group-total-count"] == "2"
    alone = training_pod(replace(SMALL, queue="trainings"))["metadata"]
    assert alone["labels"]["kueue.x-k8s.io/queue-name"] == "trainings"
    assert "pod-group" not in str(alone)


def test_the_queue_is_a_setting() -> None:
    assert pod_options(read_settings({"TRAINYARD_KUEUE_QUEUE": "ours"}), "vision")["queue"] == "ours"
