"""Runs whose ids the service did not make: no step works for them, and nothing is made or removed in their name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_cluster import RUNNING, FakeCluster, pod
from late import Late
from samples import MODEL_ID, RUN, training

from trainyard.core.catalogue import Catalogue
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

runkeys = Late("trainyard.airflow.runkeys")
failures = Late("trainyard.airflow.failures")
tasks = Late("trainyard.airflow.tasks")
_OTHER, _AGAIN = "training-Xz81mQ0aB", "training-again0000"
_NO_IDS = ["", ".", "..", "../x", "manual__2026-01-01", "training-short", f"{MODEL_ID}x", f"{MODEL_ID}\n", "x" * 5000]


@pytest.fixture
def catalogue(tmp_path):
    """A catalogue with two trainings."""
    found = Catalogue(tmp_path / "catalogue")
    found.add(training(), training(_OTHER))
    return found


class TestRefusals:
    @pytest.mark.parametrize("run_id", [MODEL_ID, _AGAIN])
    def test_the_first_run_and_one_with_an_id_of_its_own_are_the_trainings(self, catalogue, run_id):
        assert runkeys.run_of({"run_id": run_id}, MODEL_ID, catalogue) == RunKey(MODEL_ID, run_id)

    @pytest.mark.parametrize("run_id", [*_NO_IDS, _OTHER], ids=lambda text: repr(text[:30]))
    def test_any_other_id_is_refused_with_what_to_do(self, catalogue, run_id):
        with pytest.raises(TrainyardError) as refusal:
            runkeys.run_of({"run_id": run_id}, MODEL_ID, catalogue)
        assert (refusal.value.code.code, refusal.value.code.retried) == ("C110", False)
        assert refusal.value.hint == "Start the run without an id of your own."
        assert len(refusal.value.message) < 200

    def test_a_training_of_an_id_of_another_form_has_no_run(self, catalogue):
        with pytest.raises(TrainyardError):
            runkeys.run_of({"run_id": MODEL_ID}, "quotas", catalogue)

    def test_the_first_run_of_a_training_that_the_catalogue_has_lost_is_still_its_own(self, catalogue):
        catalogue.remove(MODEL_ID)
        assert runkeys.run_of({"run_id": MODEL_ID}, MODEL_ID, catalogue) == RUN


class TestSteps:
    @pytest.fixture
    def cluster(self, monkeypatch):
        """A cluster where the runs of both trainings have a pod."""
        there = FakeCluster(pod(RUNNING), pod(RUNNING, run=RunKey.first_of(_OTHER)))
        pods = Late("trainyard.cluster.podclient").TrainingPods(there, "default", 0)
        monkeypatch.setattr("trainyard.airflow.app.App.pods", lambda app: pods)
        return there

    @pytest.mark.parametrize("step", ["validate", "stage", "upload", "cleanup"])
    @pytest.mark.parametrize("run_id", ["manual__2026-01-01", "../datasets", "", _OTHER])
    def test_no_step_works_for_such_a_run_or_touches_a_folder_or_a_pod(
        self, catalogue, cluster, tmp_path, monkeypatch, step, run_id
    ):
        workspace = Workspace(tmp_path / "workspace")
        theirs = workspace.run(RunKey.first_of(_OTHER))
        theirs.model.mkdir(parents=True)
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setenv("TRAINYARD_WORKSPACE", str(workspace.root))
        monkeypatch.setenv("TRAINYARD_CATALOGUE", str(catalogue.folder))
        pushed = {}
        task = SimpleNamespace(
            task_id=step,
            xcom_push=lambda key, value: pushed.update({key: value}),
            xcom_pull=lambda task_ids, key: None,
            try_number=1,
            max_tries=3,
        )
        context = {"run_id": run_id, "ti": task, "dag_run": SimpleNamespace(conf=None, clear_number=0)}
        with pytest.raises(failures.StepFailedError):
            getattr(tasks, step)(MODEL_ID, **context)
        assert Outcome.from_dict(pushed["outcome"]).code == "C110"
        assert sorted(tmp_path.rglob("*")) == before
        assert (len(cluster.pods), cluster.deleted) == (2, [])
