"""The train task and its trigger on a real cluster, which breaks off, refuses and takes its time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from dataclasses import replace
from threading import Thread
from types import SimpleNamespace

import pytest
from helddata import hold_data
from late import Late
from localkubeserver import running_cluster, wait_for
from samples import MODEL_ID, RUN, training
from workertask import WorkerTask

from trainyard.domain.names import pod_name
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import Resources
from trainyard.local.ports import pick_port
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

operators = Late("trainyard.airflow.operator")
learners = Late("trainyard.cluster.learners")
failures = Late("trainyard.airflow.failures")
sdk = Late("airflow.sdk.exceptions")
triggers = Late("trainyard.airflow.trigger")
trainingpods = Late("trainyard.cluster.podclient")
_FIRST, _SECOND = pod_name(RUN, 1), pod_name(RUN, 2)
_CONNECTION = "training_cluster"
_MIB = 1024**2
_GATED = "echo begun >>$RESULT_DIR/starts; until [ -e $RESULT_DIR/go ]; do sleep 0.05; done; echo over"
# Ends well when it is told to stop, as many programs do that save their state.
_TRAPS = (
    "trap 'echo saved >$RESULT_DIR/state; exit 0' TERM; echo begun >$RESULT_DIR/starts; while :; do sleep 0.05; done"
)
# Takes longer to stop than a test that does not wait for it.
_LINGERS = (
    "trap 'until [ -e $RESULT_DIR/go ]; do sleep 0.05; done; exit 0' TERM; "
    "echo begun >$RESULT_DIR/starts; while :; do sleep 0.05; done"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster whose clients find it again when it was away: at its port, by a kubeconfig that stays."""
    folder, port = tmp_path_factory.mktemp("cluster"), pick_port(28_000 + os.getpid() % 1000)
    with running_cluster(folder, "--gpus", "1", "--port", str(port)) as server:
        shutil.copyfile(server.kubeconfig, folder / "clients.kubeconfig")
        yield server


class _Yard:
    """One run, its train task as a worker runs it, and the trigger that the task leaves."""

    def __init__(self, cluster, workspace, monkeypatch):
        self.cluster, self.workspace, self._monkeypatch = cluster, workspace, monkeypatch
        self.run = workspace.run(RUN)

    def step(self, command=_GATED, gpus=0, attempt=1, **plan):
        """Run one try of the task; return the trigger that it leaves, or its task instance when it ended or failed."""
        wanted = training(command=command, resources=Resources(size="small" if gpus else "tiny"))
        wanted = replace(wanted, plan=replace(wanted.plan, memory=256 * _MIB, cpu_millis=100, **plan))
        checkpoints = self.workspace.checkpoints_of(RUN, wanted.account, wanted.spec)
        hold_data(self.workspace)
        for folder in (*self.run.folders, self.run.logs / "learner-1", checkpoints):
            folder.mkdir(parents=True, exist_ok=True)
        operator = operators.TrainOperator(training=wanted, task_id="train")
        self._monkeypatch.setattr(operators.TrainOperator, "client", self.cluster.core)
        self.task, self.operator = WorkerTask(attempt, 7), operator
        try:
            operator.execute({"run_id": MODEL_ID, "ti": self.task, "dag_run": SimpleNamespace(conf=None)})
        except sdk.TaskDeferred as deferred:
            return deferred.trigger
        return None

    @property
    def outcome(self):
        return Outcome.from_dict(self.task.pushed["outcome"])

    def begun(self):
        wait_for((self.run.result / "starts").exists, "the start of the program")

    def let_go(self):
        (self.run.result / "go").touch()

    def starts(self):
        return (self.run.result / "starts").read_text()

    def names(self):
        return [item.metadata.name for item in self.cluster.core.list_namespaced_pod("default").items]


@pytest.fixture
def yard(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow.sdk.bases.operator.ExecutorSafeguard.test_mode", True)
    for variable in [name for name in os.environ if name.startswith("TRAINYARD_")]:
        monkeypatch.delenv(variable)
    extra = {"kube_config_path": str(cluster.folder / "clients.kubeconfig"), "namespace": "default"}
    monkeypatch.setenv("AIRFLOW_CONN_TRAINING_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    settings = {"WORKSPACE": tmp_path / "workspace", "KUBERNETES_CONNECTION": _CONNECTION, "POD_POLL_SECONDS": "0.2"}
    for name, value in settings.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", str(value))
    yield _Yard(cluster, Workspace(tmp_path / "workspace"), monkeypatch)
    cluster.core.delete_collection_namespaced_pod("default", grace_period_seconds=0)
    wait_for(lambda: not cluster.core.list_namespaced_pod("default").items, "an empty cluster")


class _Waiting:
    """A trigger at work, in a thread of its own as the triggerer is a process of its own."""

    def __init__(self, trigger):
        self._trigger, self._event = trigger, None
        self._thread = Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self):
        async def first():
            return await anext(self._trigger.run())

        self._event = asyncio.run(asyncio.wait_for(first(), 120))

    @property
    def waits(self):
        return self._thread.is_alive()

    def outcome(self):
        """Return the outcome of the event, once there is one."""
        self._thread.join(240)
        assert self._event is not None
        return Outcome.from_dict(self._event.xcoms["outcome"])


class TestKilledWorkers:
    def test_a_program_that_saves_and_ends_well_when_its_worker_is_killed_has_not_succeeded(self, yard):
        waiting = _Waiting(yard.step(_TRAPS))
        yard.begun()
        yard.operator.on_kill()  # what Airflow calls at the worker's SIGTERM
        outcome = waiting.outcome()
        assert (outcome.code, outcome.retried) == ("S102", True)
        assert (yard.run.result / "state").read_text() == "saved\n"

    def test_the_next_try_finds_the_program_of_a_worker_that_left_no_word(self, yard):
        yard.step()
        yard.begun()
        uid = yard.cluster.pod(_FIRST).metadata.uid
        waiting = _Waiting(yard.step(attempt=2))
        assert (yard.names(), yard.cluster.pod(_FIRST).metadata.uid) == ([_FIRST], uid)
        yard.let_go()
        assert waiting.outcome().code is None
        assert yard.starts() == "begun\n"

    def test_a_try_that_finds_a_program_at_its_end_takes_that_and_trains_no_more(self, yard):
        yard.step()
        yard.let_go()
        yard.cluster.until(_FIRST, "Succeeded")
        assert yard.step(attempt=2) is None
        assert (yard.outcome.code, yard.outcome.exit_code, yard.starts()) == (None, 0, "begun\n")
        assert yard.names() == [_FIRST]


class TestOutages:
    def test_an_api_that_is_away_for_less_than_the_limit_costs_nothing(self, yard, monkeypatch):
        trigger = yard.step()
        looks = _counted(trigger, monkeypatch)
        waiting = _Waiting(trigger)
        yard.begun()
        yard.cluster.kill()
        seen = len(looks)
        try:
            wait_for(lambda: len(looks) > seen + 3, "some looks at an API that is away")
            yard.let_go()  # the program ends while nobody answers
        finally:
            yard.cluster.start()
        assert waiting.outcome().code is None
        assert yard.starts() == "begun\n"

    def test_an_api_that_is_away_for_longer_takes_no_program_and_the_next_try_finds_it(self, yard, monkeypatch):
        monkeypatch.setenv("TRAINYARD_API_OUTAGE_SECONDS", "1")
        waiting = _Waiting(yard.step())
        yard.begun()
        yard.cluster.kill()
        try:
            outcome = waiting.outcome()
        finally:
            yard.cluster.start()
        assert (outcome.code, outcome.retried) == ("S200", True)
        assert yard.cluster.pod(_FIRST).status.phase == "Running"
        monkeypatch.delenv("TRAINYARD_API_OUTAGE_SECONDS")
        waiting = _Waiting(yard.step(attempt=2))
        yard.let_go()
        assert waiting.outcome().code is None
        assert (yard.starts(), yard.names()) == ("begun\n", [_FIRST])

    def test_what_a_worker_asks_while_the_api_is_away_is_answered_when_it_is_back(self, yard):
        yard.step()
        pods, found = trainingpods.TrainingPods(yard.cluster.core, "default"), []
        yard.cluster.kill()
        worker = Thread(target=lambda: found.extend(pods.of_run(RUN)))
        worker.start()
        yard.cluster.start()
        worker.join(240)
        assert [pod["metadata"]["name"] for pod in found] == [_FIRST]


class TestWaiting:
    def test_the_wait_for_a_gpu_is_not_bounded_by_the_time_an_image_may_take(self, yard, monkeypatch):
        monkeypatch.setenv("TRAINYARD_IMAGE_TIMEOUT_SECONDS", "0")
        limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
        yard.cluster.run("theirs", "sleep", "600", container=limits)
        yard.cluster.until("theirs", "Running")
        trigger = yard.step(gpus=1)
        looks = _counted(trigger, monkeypatch)
        waiting = _Waiting(trigger)
        wait_for(lambda: len(looks) > 3, "some looks at the pod that waits")
        assert (waiting.waits, yard.cluster.pod(_FIRST).status.phase) == (True, "Pending")
        yard.cluster.delete("theirs", 0)
        yard.let_go()
        assert waiting.outcome().code is None

    def test_an_image_that_does_not_come_is_given_up_and_holds_no_gpu_of_the_next_attempt(self, yard):
        trigger = yard.step(gpus=1, image="registry.example.com/tensorflow:missing")
        outcome = _Waiting(trigger).outcome()
        assert (outcome.code, outcome.retried) == ("S103", True)
        waiting = _Waiting(yard.step(gpus=1, attempt=2))  # the image is there by now, and the cluster has one GPU
        yard.let_go()
        yard.cluster.until(_SECOND, "Succeeded")
        assert waiting.outcome().code is None

    def test_the_time_that_a_run_may_take_is_the_clusters_to_watch_and_not_airflows(self, yard):
        yard.step()
        assert yard.operator.execution_timeout is None
        assert yard.cluster.pod(_FIRST).spec.active_deadline_seconds > 0

    def test_a_sidecar_that_a_cluster_adds_does_not_hold_a_run_that_has_ended(self, yard, monkeypatch):
        added = {"name": "mesh", "image": "registry.example.com/mesh:1", "command": ["sleep", "600"]}
        as_made = learners.training_pod

        def with_sidecar(run):
            body = as_made(run)
            body["spec"]["containers"].append(added)
            return body

        monkeypatch.setattr("trainyard.cluster.learners.training_pod", with_sidecar)
        waiting = _Waiting(yard.step())
        yard.let_go()
        outcome = waiting.outcome()
        assert (outcome.code, outcome.exit_code) == (None, 0)
        assert yard.cluster.pod(_FIRST).status.phase == "Running"  # the sidecar's; the cleanup removes it


def _counted(trigger, monkeypatch):
    looks, look = [], trigger.pods.look

    async def noted(api):
        looks.append(1)
        return await look(api)

    monkeypatch.setattr(trigger.pods, "look", noted)
    return looks


class TestClearing:
    def test_a_step_that_is_cleared_while_its_pod_dies_waits_for_that_and_starts_anew(self, yard):
        trigger = yard.step(_LINGERS)
        yard.begun()
        asyncio.run(trigger.on_kill())  # what Airflow calls in the triggerer when a waiting step is cleared
        assert yard.cluster.pod(_FIRST).metadata.deletion_timestamp is not None
        made = []
        again = Thread(target=lambda: made.append(yard.step(attempt=2)))
        again.start()
        yard.let_go()
        again.join(240)
        assert [each.wait.pod_name for each in made] == [_SECOND]
        wait_for(lambda: yard.names() == [_SECOND], "the end of the first pod")


class TestSecrecy:
    def test_a_pod_has_one_container_no_token_of_the_clusters_and_nothing_to_speak_to_airflow(self, yard):
        yard.step()
        pod = yard.cluster.pod(_FIRST)
        (container,) = pod.spec.containers
        assert pod.spec.automount_service_account_token is False
        assert pod.spec.init_containers is None
        assert (yard.operator.do_xcom_push, yard.operator.log_pod_spec_on_failure) == (False, False)
        assert not [variable.name for variable in container.env if "AIRFLOW" in variable.name]

    def test_a_pod_that_is_refused_is_told_without_what_is_in_it(self, yard, monkeypatch, caplog):
        monkeypatch.setenv("TRAINYARD_NAMESPACE", "nowhere")
        with caplog.at_level(logging.INFO), pytest.raises(failures.StepFailedError) as refused:
            yard.step("echo a-word-of-the-program")
        assert yard.outcome.code == "S101"
        reported = f"{caplog.text} {refused.value!r} {yard.task.pushed}"
        assert "404" in reported
        assert [
            word for word in ("a-word-of-the-program", "MODEL_DIR", "containers", "securityContext") if word in reported
        ] == []
