"""The cleanup step tells the MLflow server of account or manifest how a run went, and never fails for that."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from fake_cluster import FakeCluster
from fakemlflow import FakeMLflow
from late import Late
from samples import MODEL_ID, RUN, training

from trainyard.core.catalogue import Catalogue
from trainyard.domain.outcome import Outcome
from trainyard.workspace.layout import Workspace
from trainyard.workspace.metrics.curves import Curve
from trainyard.workspace.metrics.state import MetricsState
from trainyard.workspace.metrics.stored import to_lines

pytestmark = pytest.mark.xdist_group("airflow")

failures = Late("trainyard.airflow.failures")
tasks = Late("trainyard.airflow.tasks")
tracking = Late("trainyard.airflow.tracking")
errors = Late("trainyard.tracking.server")
SECRET = "t0k3n-of-the-tracker"
QUOTAS = "accounts:\n- {{name: vision, gpus: 4, members: [ada], max_hours: 1{more}}}\n"
TRAINED = Outcome(exit_code=0, gpu_seconds=40.0, started_at=1_700_000_000.0, finished_at=1_700_000_010.0)


@pytest.fixture
def mlflow():
    with FakeMLflow() as server:
        yield server


class Yard:
    """A run whose program has ended, before its cleanup."""

    def __init__(self, root, monkeypatch):
        self.environment, self.catalogue = monkeypatch, Catalogue(root / "catalogue")
        self.workspace, self.quotas = Workspace(root / "workspace"), root / "quotas.yaml"
        self.left = {("train", "outcome"): TRAINED.as_dict()}
        self.folder = self.workspace.run(RUN)
        self.folder.state.mkdir(parents=True)
        self.folder.started.touch()
        self.folder.stored.touch()
        self.folder.dataset.write_text("v1")
        state = MetricsState()
        curve = Curve("loss", "jsonl")
        curve.add(1, 1, 1_700_000_001.0, 0.5, 100)
        state.curves.put(curve)
        self.folder.metrics_stored.write_bytes(b"".join(to_lines(state)))
        pods = Late("trainyard.cluster.podclient").TrainingPods(FakeCluster(), "default", 0)
        monkeypatch.setattr("trainyard.airflow.app.App.pods", lambda app: pods)
        monkeypatch.setenv("TRAINYARD_WORKSPACE", str(self.workspace.root))
        monkeypatch.setenv("TRAINYARD_CATALOGUE", str(self.catalogue.folder))
        monkeypatch.setenv("TRAINYARD_QUOTAS_FILE", str(self.quotas))
        monkeypatch.setenv("TRAINYARD_TRACKING_SECONDS", "2")
        self.allow("")

    def allow(self, more):
        self.quotas.write_text(QUOTAS.format(more=more))

    def connect(self, url, name="team-mlflow", **values):
        host, _, port = url.removeprefix("http://").partition(":")
        known = {"conn_type": "http", "host": host, "port": int(port), "password": SECRET, **values}
        self.environment.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(known))

    def cleanup(self, conf=None, mlflow=None, **changes):
        made = training(**changes)
        self.catalogue.add(replace(made, spec=replace(made.spec, mlflow=mlflow)))
        task = SimpleNamespace(
            task_id="cleanup",
            xcom_push=lambda key, value: self.left.update({("cleanup", key): value}),
            xcom_pull=lambda task_ids, key: self.left.get((task_ids, key)),
        )
        ids = {"dag_id": MODEL_ID, "run_id": MODEL_ID}
        run = SimpleNamespace(conf=conf, clear_number=0, triggering_user_name=None, **ids)
        tasks.cleanup(MODEL_ID, run_id=MODEL_ID, ti=task, dag_run=run)

    @property
    def tracked(self):
        return self.left.get(("cleanup", "tracked"))


@pytest.fixture
def yard(tmp_path, monkeypatch):
    return Yard(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        (", tracking: {mlflow: team-mlflow}", {}),
        (", connections: [team-mlflow]", {"mlflow": "team-mlflow"}),
        (", tracking: {mlflow: other}, connections: [team-mlflow]", {"mlflow": "team-mlflow"}),
    ],
    ids=["account", "manifest", "manifest before account"],
)
def test_a_run_is_told_as_it_ran(yard, mlflow, more, changes):
    yard.allow(more)
    yard.connect(mlflow.url)
    yard.cleanup({"lr": 0.5}, hyperparameters={"lr": 0.1}, experiment="grid", **changes)
    (run,) = mlflow.runs.values()
    assert mlflow.experiments == {"grid": "1"}
    assert run["params"]["lr"] == "0.5"
    assert run["params"]["trainyard.data_version"] == "v1"
    assert (run["status"], run["end_time"]) == ("FINISHED", 1_700_000_010_000)
    assert [each["value"] for each in run["metrics"]] == [0.5]
    assert mlflow.logins == {f"Bearer {SECRET}"}
    assert yard.tracked == {"connection": "team-mlflow", "experiment_id": "1", "run_id": run["run_id"], "warning": ""}
    assert not yard.folder.metrics_stored.exists()


def test_where_nothing_is_tracked_nothing_is_told(yard):
    yard.cleanup()
    assert yard.tracked is None


@pytest.mark.parametrize(
    ("left", "status", "outcome"),
    [
        ({("train", "outcome"): Outcome("C201", "exit code 1").as_dict()}, "FAILED", "C201"),
        ({("validate", "canceled"): {"by": "ada", "clear_number": 0}}, "KILLED", "C204"),
        ({("validate", "outcome"): Outcome("C103", "no such bucket").as_dict()}, "FAILED", "C103"),
    ],
    ids=["failed", "canceled", "never started"],
)
def test_runs_that_did_not_complete_are_told_too(yard, mlflow, left, status, outcome):
    yard.allow(", tracking: {mlflow: team-mlflow}")
    yard.connect(mlflow.url)
    yard.left = left
    yard.cleanup()
    (run,) = mlflow.runs.values()
    assert (run["status"], run["tags"]["trainyard.outcome"]) == (status, outcome)


def test_values_that_no_run_can_have_are_told_as_the_failure_they_were(yard, mlflow):
    yard.allow(", tracking: {mlflow: team-mlflow}")
    yard.connect(mlflow.url)
    yard.left = {("validate", "outcome"): Outcome("C110", "values that it cannot use").as_dict()}
    yard.cleanup({"no such field": 1})
    (run,) = mlflow.runs.values()
    assert run["tags"]["trainyard.outcome"] == "C110"


def test_results_that_are_not_stored_are_told_and_a_step_that_is_cleared_mends_it(yard, mlflow):
    yard.allow(", tracking: {mlflow: team-mlflow}")
    yard.connect(mlflow.url)
    yard.folder.stored.unlink()
    with pytest.raises(failures.StepFailedError):
        yard.cleanup()
    (run,) = mlflow.runs.values()
    assert (run["status"], run["tags"]["trainyard.outcome"]) == ("FAILED", "S305")
    yard.folder.stored.touch()
    yard.cleanup()
    (run,) = mlflow.runs.values()
    assert (run["status"], run["tags"]["trainyard.outcome"]) == ("FINISHED", "")


class TestWhatFailsNoRun:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"port": 1}, "no connection to it can be made"),
            ({"conn_type": "aws"}, "the connection is of the type aws, and has to be http or generic"),
            ({"host": ""}, "the connection's host and schema are not the address of a server"),
            ({"password": f"{SECRET}\n"}, "the connection to it broke: LocalProtocolError"),
        ],
    )
    def test_a_connection_that_leads_nowhere_is_a_warning_without_its_secret(self, yard, mlflow, values, reason):
        yard.allow(", tracking: {mlflow: team-mlflow}")
        yard.connect(mlflow.url, **values)
        yard.cleanup()
        assert yard.tracked["warning"] == f"MLflow (team-mlflow) does not have the run: {reason}"
        assert SECRET not in json.dumps(list(yard.left.values()))
        assert not mlflow.runs

    def test_one_that_there_is_not_is_a_warning(self, yard):
        yard.allow(", tracking: {mlflow: nowhere}")
        yard.cleanup()
        assert yard.tracked["warning"].endswith("Airflow has no such connection")

    def test_one_that_the_account_may_not_use_any_more_gets_nothing(self, yard, mlflow):
        yard.connect(mlflow.url)
        yard.cleanup(mlflow="team-mlflow")
        assert yard.tracked["warning"].endswith("the account has no connection of this name")
        assert not mlflow.asked

    def test_quotas_that_cannot_be_read_do_not_matter_to_it(self, yard):
        yard.quotas.write_text("tracking: [")
        yard.cleanup()
        assert yard.tracked is None

    def test_the_metrics_stay_for_a_step_that_is_cleared_once_the_server_is_back(self, yard, mlflow):
        yard.allow(", tracking: {mlflow: team-mlflow}")
        yard.connect(mlflow.url, port=1)
        yard.cleanup()
        yard.connect(mlflow.url)
        yard.cleanup()
        (run,) = mlflow.runs.values()
        assert len(run["metrics"]) == 1
        assert not yard.folder.metrics_stored.exists()


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"host": "mlflow.example.com", "schema": "https"}, "https://mlflow.example.com"),
        ({"host": "mlflow.example.com", "port": 5000}, "http://mlflow.example.com:5000"),
        ({"host": "https://mlflow.example.com:8443/team/"}, "https://mlflow.example.com:8443/team"),
        ({"host": "https://[2001:db8::1]", "port": 5000}, "https://[2001:db8::1]:5000"),
    ],
)
def test_a_host_may_be_written_as_airflows_own_hooks_take_it(monkeypatch, values, url):
    monkeypatch.setenv("AIRFLOW_CONN_TEAM-MLFLOW", json.dumps({"conn_type": "http", **values}))
    assert tracking.open_tracking("team-mlflow", "").url == url


@pytest.mark.parametrize(
    "host", ["", "ftp://a.example", "https://ada:pw@a.example", "https://a.example:port", "https://["]
)
def test_what_is_no_address_of_a_server_is_refused(monkeypatch, host):
    monkeypatch.setenv("AIRFLOW_CONN_TEAM-MLFLOW", json.dumps({"conn_type": "http", "host": host}))
    with pytest.raises(errors.TrackingError, match="not the address of a server"):
        tracking.open_tracking("team-mlflow", "")
