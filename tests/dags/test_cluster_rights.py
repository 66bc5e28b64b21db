"""The roles in deploy/kubernetes give each of Airflow's processes what it asks the cluster for, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import yaml
from deployfiles import PROJECT
from late import Late
from localkubeserver import running_cluster
from recordingapi import recording_api, right
from samples import LIMITS
from unit.pod_samples import SMALL

from trainyard.cluster.learners import RunObjects, run_objects
from trainyard.cluster.rights import EXEC_RIGHTS, RIGHTS, SECRET_RIGHTS, SERVICE_RIGHTS
from trainyard.cluster.spec import WorkspaceVolume, training_pod
from trainyard.doctor.probe import Probe
from trainyard.domain.names import pod_name
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

hooks = Late("airflow.providers.cncf.kubernetes.hooks.kubernetes")
podclient = Late("trainyard.cluster.podclient")
trigger = Late("trainyard.airflow.trigger")
podwaits = Late("trainyard.cluster.podwaits")
podexec = Late("trainyard.airflow.podexec")
doctorcluster = Late("trainyard.doctor.cluster")

_RIGHTS = PROJECT / "deploy" / "kubernetes" / "trainings" / "rights.yaml"
_OPTIONAL = PROJECT / "deploy" / "kubernetes" / "examples" / "doctor.yaml"
_POD = pod_name(SMALL.key, 1)
_CONNECTION = "recorded_cluster"  # no other test's: the api-server keeps its client

# Waits until it is watched; says by its exit code whether each folder can be written, and whether two are one.
_WRITES_WHERE_IT_MAY = """
until [ -e $RESULT_DIR/watched ]; do sleep 0.05; done
for place in /tmp /var/tmp $HOME /dev/shm $RESULT_DIR $CHECKPOINT_DIR; do echo x >$place/probe || exit 1; done
[ /tmp/probe -ef /var/tmp/probe ]
"""


def allowed(role: str, file: Path = _RIGHTS) -> set[tuple[str, str, str]]:
    """Return what a role of rights.yaml, or of another file, allows."""
    documents = yaml.safe_load_all(file.read_text("utf-8"))
    rules = next(one["rules"] for one in documents if one["kind"].endswith("Role") and one["metadata"]["name"] == role)
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster"), "--gpus", "1") as server:
        yield server


@pytest.fixture
def recorded(cluster, tmp_path, monkeypatch):
    """The cluster, seen through the connection that Airflow's processes use, with everything asked written down."""
    with recording_api(cluster.kubeconfig) as api:
        extra = {"kube_config_path": str(api.kubeconfig(tmp_path / "kubeconfig")), "namespace": "default"}
        connection = {"conn_type": "kubernetes", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_RECORDED_CLUSTER", json.dumps(connection))
        yield api


def training(tmp_path, command):
    """Return a pod of the service's own making, whose folders are there."""
    run = replace(
        SMALL,
        spec=replace(SMALL.spec, command=command),
        plan=replace(SMALL.plan, node_selector={}, memory=512 * 1024**2),
        namespace="default",
        volume=WorkspaceVolume(folder=str(tmp_path)),
        grace_seconds=2,
    )
    subpaths = [run.dataset_subpath, run.checkpoints_subpath]
    subpaths += [f"{run.run_subpath}/{name}" for name in ("model", "result", "logs", "state")]
    for subpath in subpaths:
        (tmp_path / subpath).mkdir(parents=True)
    return training_pod(run)


def pods():
    client = hooks.KubernetesHook(conn_id=_CONNECTION).core_v1_client
    return podclient.TrainingPods(client, "default", 20)


def waiting():
    return trigger.TrainingPodTrigger(
        pod_name=_POD,
        namespace="default",
        conn_id=_CONNECTION,
        poll_seconds=1,
        outage_seconds=30,
        image_seconds=60,
        grace_seconds=2,
        gpus=1,
        memory=512 * 1024**2,
    )


def _take_all(workspace):
    """Take what is nobody's, as the janitor does; it runs where the steps do."""
    cluster = podclient.TrainingPods(hooks.KubernetesHook(conn_id=_CONNECTION).core_v1_client, "default", 20)
    (left,) = cluster.all(WorkspaceVolume(folder=str(workspace)))
    for service in cluster.services(WorkspaceVolume(folder=str(workspace))):
        cluster.remove_service(service)
    cluster.remove(left, 0)
    pods().remove_all(SMALL.key)


async def run_a_command():
    """Ask for a command in a pod, which the way to the API that writes it down cannot carry."""
    with pytest.raises(TrainyardError, match="refused to run a command"):
        async with podexec.run_in_pod(_CONNECTION, "default", _POD, ["true"], False, False):
            pass


def event_of(made, watched, mark):
    """Return the trigger's event; touch `mark` once the trigger watches the pod, which ends then."""

    async def event():
        waits = asyncio.create_task(anext(made.run()))
        while not watched() and not waits.done():
            await asyncio.sleep(0.02)
        mark.touch()
        return await waits

    return asyncio.run(asyncio.wait_for(event(), 120))


def test_the_roles_are_what_each_process_asks_of_the_cluster(recorded, tmp_path):
    body = training(tmp_path, _WRITES_WHERE_IT_MAY)

    assert pods().newest(SMALL.key) is None
    pods().keep_secrets(SMALL.key, {"WANDB_API_KEY": "a value"})
    volume = WorkspaceVolume(folder=str(tmp_path))
    several = replace(SMALL, plan=replace(SMALL.plan, learners=2), namespace="default", volume=volume)
    objects = RunObjects(run_objects(several).service, (body,))
    # The second one finds what the first has made.
    created = [pod for _ in range(2) for pod in pods().create_all(objects)]
    assert created[0]["metadata"]["uid"] == created[1]["metadata"]["uid"]
    steps, recorded.rights = recorded.rights, set()

    podwaits.PodWaits(lambda: hooks.KubernetesHook(conn_id=_CONNECTION).core_v1_client, "default")(SMALL.key)
    asyncio.run(run_a_command())
    api_server, recorded.rights = recorded.rights, set()
    # Which Kubernetes asks for by itself, from 1.35 on.
    api_server.add(("", "pods/exec", "create"))

    mark = tmp_path / SMALL.run_subpath / "result" / "watched"
    event = event_of(waiting(), lambda: ("", "pods", "watch") in recorded.rights, mark)
    assert event.task_instance_state == "success"
    asyncio.run(waiting().on_kill())
    triggerer, recorded.rights = recorded.rights, set()

    pods().create(body)
    pods().end_all(SMALL.key, 2)
    pods().remove_all(SMALL.key)
    pods().drop_secrets(SMALL.key)
    pods().create(body)
    _take_all(tmp_path)
    steps |= recorded.rights

    asked = {"trainyard-steps": steps, "trainyard-triggerer": triggerer, "trainyard-api-server": api_server}
    assert asked == {role: allowed(role) for role in asked}


def test_nothing_else_of_the_service_speaks_to_the_cluster():
    """What these files ask is recorded above; another one would need rights that nobody has looked at."""
    package = PROJECT / "include" / "trainyard"
    files = [file for file in package.rglob("*.py") if "local" not in file.relative_to(package).parts]
    asking = {file.name for file in files if re.search(r"_namespaced_|Api\(\)", file.read_text("utf-8"))}
    assert asking == {"podclient.py", "podexec.py", "podwaits.py", "podwatch.py"}


def test_what_the_doctor_asks_whether_it_may_is_what_the_roles_allow():
    roles = {process: allowed(f"trainyard-{process}") for process in RIGHTS}
    asked = {process: {("", "pods", verb) for verb in verbs} for process, verbs in RIGHTS.items()}
    for resource, rights in (("secrets", SECRET_RIGHTS), ("services", SERVICE_RIGHTS), ("pods/exec", EXEC_RIGHTS)):
        for process, verbs in rights.items():
            asked[process] |= {("", resource, verb) for verb in verbs}
    assert roles == asked


def test_the_doctor_asks_for_no_more_than_its_optional_roles_allow(recorded, tmp_path):
    """Who one is and what one may, every user of a cluster may ask."""
    settings = read_settings({"TRAINYARD_WORKSPACE": str(tmp_path)})
    cluster = doctorcluster.DoctorCluster(_CONNECTION, "default")
    probe = Probe(cluster, Workspace(tmp_path), LIMITS, settings, 30)
    assert (cluster.user(), cluster.refused(("watch",))) == ("localkube", [])
    assert [len(cluster.nodes()), cluster.greet().version[:2]] == [1, "v1"]
    assert [one.check for one in probe.whole(LIMITS.frameworks[0], Event()) if one.ok] == ["image", "workspace"]

    everybodys = {right for right in recorded.rights if right[0].endswith(".k8s.io")}
    optional = allowed("trainyard-doctor", _OPTIONAL) | allowed("trainyard-doctor-nodes", _OPTIONAL)
    assert recorded.rights - everybodys == optional
    assert {resource for _, resource, _ in everybodys} == {"selfsubjectreviews", "selfsubjectaccessreviews"}


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/namespaces/a/pods?labelSelector=x", ("", "pods", "list")),
        ("GET", "/api/v1/namespaces/a/pods?watch=True", ("", "pods", "watch")),
        ("GET", "/api/v1/namespaces/a/pods/b", ("", "pods", "get")),
        ("GET", "/api/v1/namespaces/a/pods/b/log?follow=true", ("", "pods/log", "get")),
        ("DELETE", "/api/v1/namespaces/a/pods", ("", "pods", "deletecollection")),
        ("POST", "/apis/batch/v1/namespaces/a/jobs", ("batch", "jobs", "create")),
    ],
)
def test_a_request_is_read_as_the_right_it_takes(method, target, expected):
    assert right(method, target) == expected
