"""The train task: one pod per run and attempt, found again, never trained again once it succeeded."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from fake_cluster import EVICTED, PULLING, RUNNING, FakeCluster, exited, pod, refusal
from helddata import hold_data
from late import Late
from samples import GIB, MODEL_ID, RUN, training
from workertask import WorkerTask

from trainyard.core.catalogue import Catalogue
from trainyard.domain.names import RunKey, pod_name
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import Resources
from trainyard.workspace.layout import Workspace
from trainyard.workspace.stopping import mark_stopped

pytestmark = pytest.mark.xdist_group("airflow")

operators = Late("trainyard.airflow.operator")
failures = Late("trainyard.airflow.failures")
sdk = Late("airflow.sdk.exceptions")
# How a step fails that another try may help, and one that none will.
_FOR_NOW, _FOR_GOOD = ("StepFailedError", False), ("StepFailedError", True)
_FIRST, _SECOND = pod_name(RUN, 1), pod_name(RUN, 2)

_AGAIN = "training-again0000"
_QUOTAS = "accounts:\n  - {name: vision, gpus: 4, members: [ada], max_hours: 24}\n"


@pytest.fixture
def train(monkeypatch, tmp_path):
    """Run the train task of a run on a cluster; return its task instance, after what it raised was checked."""
    monkeypatch.setattr("airflow.sdk.bases.operator.ExecutorSafeguard.test_mode", True)
    for variable in [name for name in os.environ if name.startswith("TRAINYARD_")]:
        monkeypatch.delenv(variable)
    workspace = Workspace(tmp_path / "workspace")
    (tmp_path / "quotas.yaml").write_text(_QUOTAS)
    for name, place in {
        "WORKSPACE": workspace.root,
        "CATALOGUE": tmp_path,
        "QUOTAS_FILE": tmp_path / "quotas.yaml",
    }.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", str(place))

    def run(cluster, raises, attempt=1, staged=True, conf=None, round_=7, run_id=MODEL_ID, **changes):
        if staged:
            hold_data(workspace, RunKey(MODEL_ID, run_id))
        wanted = training(resources=Resources(size="large"), **changes)
        operator = operators.TrainOperator(training=wanted, task_id="train")
        monkeypatch.setattr(operators.TrainOperator, "client", cluster)
        task = WorkerTask(attempt, round_)
        context = {"run_id": run_id, "ti": task, "dag_run": SimpleNamespace(conf=conf, run_id=run_id)}
        if raises is None:
            operator.execute(context)
            return task
        kind, final = raises if isinstance(raises, tuple) else (raises, None)
        with pytest.raises(getattr(sdk if final is None else failures, kind)) as raised:
            operator.execute(context)
        assert getattr(raised.value, "final", None) is final
        task.raised = raised.value
        return task

    return run


def _outcome(task):
    return Outcome.from_dict(task.pushed["outcome"])


class TestStarting:
    def test_a_run_gets_a_pod_with_its_gpus_and_waits_without_a_worker(self, train):
        cluster = FakeCluster()
        task = train(cluster, "TaskDeferred")
        assert cluster.created == [_FIRST]
        (container,) = cluster.pods[_FIRST]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
        assert task.raised.trigger.wait.pod_name == _FIRST
        assert (task.raised.trigger.wait.gpus, task.raised.trigger.wait.memory) == (4, 96 * GIB)
        assert task.pushed == {}

    def test_a_run_without_a_dataset_does_not_start(self, train):
        cluster = FakeCluster()
        task = train(cluster, _FOR_NOW, staged=False)
        assert cluster.created == []
        assert _outcome(task).code == "S302"

    def test_a_run_mounts_the_version_that_it_holds_whatever_was_pushed_for_it(self, train, tmp_path):
        hold_data(Workspace(tmp_path / "workspace"), RunKey(MODEL_ID, _AGAIN), version="theirs")
        cluster = FakeCluster()
        train(cluster, "TaskDeferred")
        (container,) = cluster.pods[_FIRST]["spec"]["containers"]
        paths = {mount["mountPath"]: mount["subPath"] for mount in container["volumeMounts"] if "subPath" in mount}
        assert (
            Workspace(tmp_path).dataset(training().spec.data).relative_to(tmp_path).joinpath("1").as_posix()
            in paths.values()
        )
        assert f"runs/{MODEL_ID}/{MODEL_ID}/result" in paths.values()

    def test_a_hold_outside_of_the_trainings_own_bucket_starts_nothing(self, train, tmp_path):
        hold_data(Workspace(tmp_path / "workspace"))
        (tmp_path / "workspace" / "datasets" / ".holds" / str(RUN)).write_text(".")
        cluster = FakeCluster()
        assert _outcome(train(cluster, _FOR_NOW, staged=False)).code == "S302"
        assert cluster.created == []

    def test_a_pod_of_the_account_that_outlived_its_run_is_waited_for(self, train):
        outliving = pod(RUNNING, run=RunKey("training-Xz81mQ0aB", MODEL_ID), gpus=4)
        cluster = FakeCluster(outliving)
        cluster.deleted.append((outliving["metadata"]["name"], 0))
        cluster.lingers = 3
        train(cluster, "TaskDeferred")
        assert list(cluster.pods) == cluster.created == [_FIRST]

    @pytest.mark.parametrize(
        "run_id", ["manual__2026-01-01", "../datasets", "", "training-short", "training-Xz81mQ0aB"]
    )
    def test_a_run_id_that_the_service_did_not_make_starts_nothing_and_makes_no_folder(self, train, tmp_path, run_id):
        Catalogue(tmp_path).add(training("training-Xz81mQ0aB"))
        cluster = FakeCluster()
        outcome = _outcome(train(cluster, _FOR_GOOD, staged=False, run_id=run_id))
        assert (outcome.code, cluster.created) == ("C110", [])
        assert not (tmp_path / "workspace").exists()

    def test_an_api_that_refuses_is_told_and_tried_again(self, train):
        cluster = FakeCluster()
        cluster.create_namespaced_pod = _refusing(refusal(403, "Forbidden"))
        assert _outcome(train(cluster, _FOR_NOW)).code == "S101"


class TestSecrets:
    def test_they_are_on_the_cluster_before_the_pod_and_a_missing_one_ends_the_run(self, train, monkeypatch):
        kept = {"WANDB_API_KEY": "5b1c0ffee5b1c0ffee"}
        monkeypatch.setattr("trainyard.airflow.secretconnections.read_secret", lambda holder, name: kept.get(name))
        cluster = FakeCluster()
        train(cluster, "TaskDeferred", secrets=("WANDB_API_KEY",))
        (secret,) = cluster.secrets.values()
        assert secret["stringData"] == kept
        (container,) = cluster.pods[_FIRST]["spec"]["containers"]
        references = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one]
        assert references == [{"name": secret["metadata"]["name"], "key": "WANDB_API_KEY"}]
        assert "5b1c0ffee" not in str(cluster.pods)

    def test_a_secret_that_is_gone_ends_the_run_for_good_and_makes_no_pod(self, train, monkeypatch):
        monkeypatch.setattr("trainyard.airflow.secretconnections.read_secret", lambda holder, name: None)
        cluster = FakeCluster()
        task = train(cluster, _FOR_GOOD, secrets=("WANDB_API_KEY",))
        assert (_outcome(task).code, cluster.created, cluster.secrets) == ("C116", [], {})
        assert "trainyard secret set WANDB_API_KEY" in _outcome(task).hint


def _refusing(error):
    def refuse(*arguments, **options):
        raise error

    return refuse


class TestFindingAgain:
    def test_a_retry_finds_the_pod_that_still_runs(self, train):
        cluster = FakeCluster(pod(RUNNING))
        task = train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, cluster.deleted) == ([], [])
        assert task.raised.trigger.wait.pod_name == _FIRST

    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_a_program_that_succeeded_is_never_started_again(self, train, attempt):
        cluster = FakeCluster(pod(exited(0)))
        outcome = _outcome(train(cluster, None, attempt=attempt))
        assert cluster.created == []
        assert (outcome.code, outcome.exit_code, outcome.gpu_seconds) == (None, 0, 40.0)

    @pytest.mark.parametrize("attempt", [1, 2])
    def test_a_program_that_failed_is_never_started_again(self, train, attempt):
        cluster = FakeCluster(pod(exited(3)))
        outcome = _outcome(train(cluster, _FOR_GOOD, attempt=attempt))
        assert cluster.created == []
        assert (outcome.code, outcome.exit_code) == ("C201", 3)

    def test_an_attempt_that_the_infrastructure_took_is_followed_by_another(self, train):
        cluster = FakeCluster(pod(EVICTED))
        task = train(cluster, "TaskDeferred", attempt=2)
        assert cluster.created == [_SECOND]
        assert task.raised.trigger.wait.pod_name == _SECOND

    def test_an_attempt_after_the_first_is_told_the_newest_complete_checkpoint(self, train, tmp_path):
        checkpoints = Workspace(tmp_path / "workspace").run(RUN).checkpoints
        checkpoints.mkdir(parents=True)
        for name in ("step-1", "step-1.done", "step-2"):
            (checkpoints / name).touch()
        cluster = FakeCluster(pod(EVICTED))
        train(cluster, "TaskDeferred", attempt=2)
        (container,) = cluster.pods[_SECOND]["spec"]["containers"]
        assert {"name": "RESUME_FROM", "value": "/job/checkpoints/step-1"} in container["env"]

    def test_a_first_attempt_begins_anew(self, train):
        cluster = FakeCluster()
        train(cluster, "TaskDeferred")
        (container,) = cluster.pods[_FIRST]["spec"]["containers"]
        assert "RESUME_FROM" not in [row["name"] for row in container["env"]]

    def test_an_attempt_whose_node_no_longer_answers_is_followed_by_another(self, train):
        lost = pod(RUNNING)
        lost["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
        cluster = FakeCluster(lost)
        task = train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, task.raised.trigger.wait.pod_name) == ([_SECOND], _SECOND)

    def test_a_pod_that_vanished_without_a_word_is_followed_by_another(self, train):
        train(FakeCluster(), "TaskDeferred")
        cluster = FakeCluster()
        train(cluster, "TaskDeferred", attempt=2)
        assert cluster.created == [_SECOND]

    def test_a_pod_that_is_being_stopped_is_waited_for_and_not_taken_for_the_runs_own(self, train):
        dying = pod(RUNNING)
        dying["metadata"] |= {"deletionTimestamp": "2096-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
        cluster = FakeCluster(dying)
        task = train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, task.raised.trigger.wait.pod_name) == ([_SECOND], _SECOND)

    def test_a_pod_that_still_waits_for_its_image_is_given_another_time(self, train):
        cluster = FakeCluster(pod(PULLING))
        task = train(cluster, "TaskDeferred", attempt=2)
        assert (cluster.created, cluster.deleted) == ([], [])
        assert task.raised.trigger.wait.pod_name == _FIRST

    def test_tries_that_only_looked_for_the_pod_are_no_attempts(self, train):
        cluster = FakeCluster(pod(EVICTED))
        task = train(cluster, "TaskDeferred", attempt=6)
        assert (cluster.created, task.raised.trigger.wait.last) == ([_SECOND], False)

    @pytest.mark.parametrize("retries", [0, 1, 2])
    def test_the_infrastructure_may_take_as_many_pods_as_the_manifest_says(self, train, retries):
        for number in range(1, retries + 2):
            cluster = FakeCluster(*[pod(EVICTED, number - 1)] * (number > 1))
            task = train(cluster, "TaskDeferred", attempt=number, retries=retries)
            assert cluster.created == [pod_name(RUN, number)]
            assert task.raised.trigger.wait.last is (number > retries)
        cluster = FakeCluster(pod(EVICTED, retries + 1))
        outcome = _outcome(train(cluster, _FOR_GOOD, attempt=retries + 2, retries=retries))
        assert cluster.created == []
        assert outcome.code == "S102"
        assert outcome.message.endswith(f"this was attempt {retries + 1}")

    def test_the_last_pod_that_vanished_fails_the_run_for_good(self, train):
        train(FakeCluster(), "TaskDeferred", retries=0)
        outcome = _outcome(train(FakeCluster(), _FOR_GOOD, attempt=2, retries=0))
        assert outcome.code == "S102"

    def test_a_person_who_clears_the_step_gives_it_its_attempts_anew(self, train):
        train(FakeCluster(), "TaskDeferred", retries=0)
        train(cluster := FakeCluster(), "TaskDeferred", attempt=2, round_=9, retries=0)
        assert cluster.created == [_SECOND]

    def test_no_older_pod_of_the_run_is_left_beside_a_new_one(self, train):
        cluster = FakeCluster(pod(RUNNING, 1), pod(EVICTED, 2))
        train(cluster, "TaskDeferred", attempt=3)
        assert [name for name, _ in cluster.deleted] == [_FIRST]
        assert cluster.created == [pod_name(RUN, 3)]


class TestStoppedEarly:
    @pytest.mark.parametrize("there", [[], [pod(exited(143))], [pod(EVICTED)], [pod(RUNNING)]])
    def test_a_run_that_the_service_ended_early_is_completed_whatever_became_of_its_pod(self, train, tmp_path, there):
        mark_stopped(_folder(tmp_path), "stopped early at step 12")
        cluster = FakeCluster(*there)
        outcome = _outcome(train(cluster, None, attempt=2))
        assert (outcome.code, outcome.message) == (None, "stopped early at step 12")
        assert cluster.created == []

    def test_a_program_that_ended_well_before_it_was_stopped_has_its_own_outcome(self, train, tmp_path):
        mark_stopped(_folder(tmp_path), "stopped early at step 12")
        assert _outcome(train(FakeCluster(pod(exited(0))), None)).message == ""


def _folder(tmp_path):
    folder = Workspace(tmp_path / "workspace").run(RUN)
    folder.root.mkdir(parents=True)
    return folder


class TestKilling:
    def test_a_task_that_is_killed_stops_its_pod(self, train, monkeypatch):
        cluster = FakeCluster(pod(RUNNING))
        monkeypatch.setattr(operators.TrainOperator, "client", cluster)
        operator = operators.TrainOperator(training=training(), task_id="train")
        operator.on_kill()
        assert cluster.deleted == []
        operator.pod_names = [_FIRST]
        operator.on_kill()
        assert cluster.deleted == [(_FIRST, 30)]


class TestLog:
    def test_what_a_program_printed_that_ended_while_nobody_waited_is_shown_with_how_it_ended(
        self, train, tmp_path, caplog
    ):
        caplog.set_level("INFO")
        log = Workspace(tmp_path / "workspace").run(RUN).training_log
        log.parent.mkdir(parents=True)
        log.write_text("loading\nno labels\n")
        train(FakeCluster(pod(exited(3))), _FOR_GOOD)
        assert "C201, a fault of the submission" in caplog.text
        assert caplog.messages[-1].endswith("The last words of the program:\n    loading\n    no labels")
