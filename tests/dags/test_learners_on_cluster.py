"""A run of several learners on a real cluster: found by name, ended together, placed whole or not at all."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from types import SimpleNamespace

import pytest
from helddata import hold_data
from late import Late
from localkubeserver import running_cluster, wait_for
from samples import training
from workertask import WorkerTask

from trainyard.domain.names import RunKey, learner_name, pod_name
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import Resources
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

operators = Late("trainyard.airflow.operator")
sdk = Late("airflow.sdk.exceptions")
trainingpods = Late("trainyard.cluster.podclient")
_RUNS = [RunKey.first_of(f"training-aaaaaaaa{index}") for index in range(2)]
_MIB = 1024**2

# Each asks the first one at its name, which answers once all have asked.
_MEET = """python3 -c '
import os, socket, time
rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
hosts = os.environ["LEARNER_HOSTS"].split(",")
address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
assert address[0] == hosts[0]
assert not os.path.exists("/job/left")
if rank == 0:
    open("/job/" + os.environ["TRAINING_ID"], "w").write("a word")
    server = socket.create_server(address)
    met = [server.accept()[0] for _ in hosts[1:]]
    for each in met:
        each.sendall(b"met")
else:
    while True:
        try:
            said = socket.create_connection(address).recv(10)
            break
        except OSError:
            time.sleep(0.05)
    assert said == b"met"
    assert open("/job/" + os.environ["TRAINING_ID"]).read() == "a word"
open(os.environ["LOG_DIR"] + "/met", "w").write(socket.gethostname())
print("met as", rank, flush=True)
'"""
_ONE_FAILS = (
    "echo begun | tee /job/left >$LOG_DIR/begun; "
    "[ $LEARNER_ID != 2 ] || { until [ -e $RESULT_DIR/go ]; do sleep 0.05; done; "
    "echo no labels; exit 3; }; trap 'echo saved >$LOG_DIR/saved; exit 0' TERM; while :; do sleep 0.05; done"
)
_FIRST_ENDS = "[ $LEARNER_ID = 1 ] || sleep 600"


class _Run:
    """One run, its train task as a worker runs it, and the trigger that the task leaves at work in a thread."""

    def __init__(self, cluster, workspace, monkeypatch, key, retries=1):
        self.cluster, self.workspace, self._monkeypatch, self.key = cluster, workspace, monkeypatch, key
        self.folder, self._retries, self.event, self.placings = workspace.run(key), retries, None, 0
        self.thread = None

    def train(self, command, learners=2, gpus=1, attempt=1):
        """Train until the trigger has ended the step, in a thread; what was taken back is placed again."""
        wanted = training(
            self.key.training_id, command=command, retries=self._retries, resources=Resources("small", nodes=learners)
        )
        plan = replace(wanted.plan, gpus=gpus, memory=256 * _MIB, cpu_millis=100)
        wanted = replace(wanted, plan=plan)
        hold_data(self.workspace, self.key)
        self.workspace.checkpoints(wanted.account, wanted.spec.results).mkdir(parents=True, exist_ok=True)
        self.folder.model.mkdir(parents=True, exist_ok=True)
        each = map(self.folder.of_learner, range(1, learners + 1))
        own = [folder for one in each for folder in (one.training_log.parent, one.state)]
        for folder in (*own, self.folder.result, self.folder.together):
            folder.mkdir(parents=True, exist_ok=True)
        self._monkeypatch.setattr(operators.TrainOperator, "client", self.cluster.core)
        operator = operators.TrainOperator(training=wanted, task_id="train")
        context = {"run_id": self.key.model_id, "ti": WorkerTask(attempt, 7), "dag_run": SimpleNamespace(conf=None)}
        self.thread = Thread(target=self._go_on, args=(operator, context), daemon=True)
        self.thread.start()
        return self

    def _go_on(self, operator, context):
        payload = None
        while self.event is None:
            with suppress(sdk.TaskDeferred):
                try:
                    operator.place_again(context, payload) if payload else operator.execute(context)
                except sdk.TaskDeferred as deferred:
                    self.trigger = deferred.trigger
            self.placings += 1
            event = asyncio.run(self._next_event())
            if hasattr(event, "xcoms"):
                self.event = event
            elif event:
                payload = event.payload
                self.missing = payload["missing"]

    async def _next_event(self):
        """Return what the trigger says next; None, with the trigger ended, where the run was left before."""
        waiting = asyncio.ensure_future(anext(self.trigger.run()))
        async with asyncio.timeout(120):
            while self.event is None and not waiting.done():
                await asyncio.wait({waiting}, timeout=0.1)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        await asyncio.wait({waiting})
        return None

    def leave(self):
        """End the trigger and its thread, which ask the cluster for as long as they live."""
        self.event = self.event or "left"
        if self.thread:
            self.thread.join(60)
            assert not self.thread.is_alive()

    @property
    def outcome(self):
        self.thread.join(240)
        assert self.event is not None
        return Outcome.from_dict(self.event.xcoms["outcome"])

    def logs(self, number):
        return self.folder.of_learner(number).logs


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster"), "--gpus", "3", "--nodes", "3") as server:
        yield server


@pytest.fixture
def runs(cluster, tmp_path, monkeypatch):
    """Two runs that may be trained on a cluster of three GPUs."""
    monkeypatch.setattr("airflow.sdk.bases.operator.ExecutorSafeguard.test_mode", True)
    for variable in [name for name in os.environ if name.startswith("TRAINYARD_")]:
        monkeypatch.delenv(variable)
    extra = {"kube_config_path": str(cluster.kubeconfig), "namespace": "default"}
    monkeypatch.setenv("AIRFLOW_CONN_LEARNERS_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    settings = {
        "WORKSPACE": tmp_path / "workspace",
        "KUBERNETES_CONNECTION": "learners_cluster",
        "POD_POLL_SECONDS": "0.2",
        "PLACEMENT_SECONDS": "2",
        "FIRST_LEARNER_SECONDS": "1",
        "GRACE_SECONDS": "5",
    }
    (tmp_path / "quotas.yaml").write_text("accounts:\n  - {name: vision, gpus: 100, members: [ada], max_hours: 24}\n")
    for name, value in {**settings, "QUOTAS_FILE": tmp_path / "quotas.yaml"}.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", str(value))
    from trainyard.airflow.app import current_app

    current_app.cache_clear()
    workspace = Workspace(tmp_path / "workspace")
    made = [_Run(cluster, workspace, monkeypatch, key) for key in _RUNS]
    yield made
    for run in made:
        run.leave()
    pods = trainingpods.TrainingPods(cluster.core, "default")
    for key in _RUNS:
        pods.remove_all(key)
    current_app.cache_clear()
    assert cluster.core.list_namespaced_service("default").items == []


def test_learners_meet_at_their_names_and_the_run_is_completed(runs):
    run = runs[0].train(_MEET, learners=3)
    outcome = run.outcome
    assert (outcome.code, outcome.exit_code) == (None, 0), run.folder.training_log.read_text()
    for number in (1, 2, 3):
        assert (run.logs(number) / "met").read_text() == learner_name(run.key, 1, number)
        assert run.folder.of_learner(number).training_log.read_text() == f"met as {number - 1}\n"


def test_one_that_fails_ends_the_others_with_their_grace_and_is_named(runs):
    run = runs[0].train(_ONE_FAILS, learners=3)
    wait_for(lambda: all((run.logs(number) / "begun").exists() for number in (1, 2, 3)), "all programs")
    (run.folder.result / "go").touch()
    outcome = run.outcome
    assert (outcome.code, outcome.exit_code) == ("C201", 3)
    assert outcome.message == "learner 2 of 3: the training program ended with exit code 3: no labels"
    assert [(run.logs(number) / "saved").exists() for number in (1, 2, 3)] == [True, False, True]


def test_one_that_is_taken_away_ends_all_and_another_attempt_has_all_of_them(runs, cluster):
    run = runs[0].train(_ONE_FAILS)
    wait_for(lambda: all((run.logs(number) / "begun").exists() for number in (1, 2)), "all programs")
    cluster.core.delete_namespaced_pod(learner_name(run.key, 1, 2), "default", grace_period_seconds=1)
    assert (run.outcome.code, run.outcome.retried) == ("S102", True)
    assert run.outcome.message.startswith("learner 2 of 2: ")
    run.event = None
    run.train(_MEET, attempt=2)
    assert run.outcome.code is None
    assert run.trigger.wait.pod_name == pod_name(run.key, 2)


def test_servers_of_parameters_are_stopped_once_all_others_have_ended(runs):
    """As the launcher of FfDL's samples has it, the first learner serves and never ends."""
    run = runs[0].train(
        "launcher.py() { [ $LEARNER_ID != 1 ] || sleep 600; }; PS_HOSTS_COUNT=1 launcher.py", learners=3
    )
    outcome = run.outcome
    assert (outcome.code, outcome.exit_code, outcome.message) == (None, 0, "")


def test_those_that_go_on_after_the_first_has_ended_are_stopped(runs):
    outcome = runs[0].train(_FIRST_ENDS).outcome
    assert (outcome.code, outcome.message) == (None, "learner 2 was stopped: the first one had ended")


def test_two_runs_that_each_fit_alone_do_not_keep_each_other_from_training_for_ever(runs, cluster):
    """Each gets one of three GPUs before the third is given: whoever waits first gives back what it has."""
    slow = f"sleep 1; {_MEET}"
    for run in runs:
        run.train(slow, learners=2)
    for run in runs:
        assert run.outcome.code is None, run.folder.training_log.read_text()


def test_a_run_that_never_has_room_says_what_is_missing_and_gives_back_what_it_has(runs, cluster):
    run = runs[0].train(_MEET, learners=4)
    wait_for(lambda: run.placings > 1, "another placing")
    assert run.missing.startswith("3 of 4 learners have a node, learner 4 has none: 0/3 nodes are available")
    run.leave()
    other = runs[1]
    trainingpods.TrainingPods(cluster.core, "default").end_all(run.key, 0)
    assert other.train(_MEET, learners=2).outcome.code is None
