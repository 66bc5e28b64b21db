"""The janitor over a real cluster, Airflow's database and the front door: it takes what is nobody's, and no more."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from threading import Barrier
from types import SimpleNamespace

import pytest
from accountsyard import yard as yard  # a fixture
from fakedoor import client_of
from helddata import hold_data
from historyworld import start_run
from historyworld import world as world  # a fixture
from late import Late
from localkubeserver import pod, running_cluster, wait_for
from samples import MODEL_ID, RUN, training
from sqlalchemy import delete, select
from unit.pod_samples import SMALL

from trainyard.cluster.labels import MANAGED_BY, OURS, TRAINING_ID, pod_labels
from trainyard.cluster.labels import MODEL_ID as RUN_LABEL
from trainyard.cluster.learners import run_objects
from trainyard.cluster.spec import WorkspaceVolume
from trainyard.domain.names import RunKey, learner_name, pod_name
from trainyard.errors import TrainyardError
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

failures = Late("trainyard.airflow.failures")
janitors = Late("trainyard.airflow.maintenance")
podclient = Late("trainyard.cluster.podclient")
apps = Late("trainyard.airflow.app")
hooks = Late("airflow.providers.cncf.kubernetes.hooks.kubernetes")
runs = Late("airflow.models.dagrun")
LATER_RUN, OTHER_RUN = "training-again0000", "training-Xz81mQ0aB"
_LATER, _THEIRS = RunKey(MODEL_ID, LATER_RUN), RunKey(OTHER_RUN, LATER_RUN)
_NOBODYS = RunKey.first_of("training-000000000")
_CONNECTION = "janitors_cluster"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster"), "--gpus", "8") as server:
        yield server


@pytest.fixture
def place(yard, cluster, tmp_path, monkeypatch):
    """Two runs that are over and one that is going, a cluster, and the front door that the janitor asks.

    `door` is called with every question before it is answered. Nothing has to be over for longer than a moment.
    """
    extra = {"kube_config_path": str(cluster.kubeconfig), "namespace": "default"}
    monkeypatch.setenv("AIRFLOW_CONN_JANITORS_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    monkeypatch.setenv("TRAINYARD_KUBERNETES_CONNECTION", _CONNECTION)
    monkeypatch.setenv("TRAINYARD_GRACE_SECONDS", "0")
    monkeypatch.setenv("TRAINYARD_JANITOR_GRACE_SECONDS", "0")
    start_run(yard, run_id=LATER_RUN, validate="success", stage="success", train="deferred")
    root = yard.client("root", "admin")
    there = SimpleNamespace(yard=yard, cluster=cluster, door=lambda *question: None, root=root)
    there.workspace = Workspace(tmp_path / "workspace")
    there.workspace.root.mkdir(exist_ok=True)

    def answer(*question):
        return there.door(*question) or _answer(root, *question)

    monkeypatch.setattr("trainyard.airflow.maintenance.front_door", lambda: client_of(answer))
    yield there
    cluster.core.delete_collection_namespaced_pod("default", grace_period_seconds=0)
    wait_for(lambda: not cluster.core.list_namespaced_pod("default").items, "an empty cluster")


def _answer(root, method, path, data):
    answer = root.ask(method, path.removeprefix("/v3"), json=data)
    if not answer.is_success:
        raise TrainyardError("S500", f"the front door answers {answer.status_code}: {answer.text}", "")
    return answer.json()


def _trains(place, key, **changes):
    """Let a pod of a run train on the cluster; return its name."""
    more = {"labels": pod_labels(replace(SMALL, key=key)), **changes}
    volume = {"name": "workspace", "hostPath": {"path": str(place.workspace.root), "type": "Directory"}}
    spec = {"volumes": [volume], **more.pop("spec", {})}
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    name = more.pop("name", pod_name(key, 1))
    place.cluster.core.create_namespaced_pod("default", pod(name, "sleep", "600", container=limits, spec=spec, **more))
    place.cluster.until(name, "Running")
    return name


def _pods(place):
    """The pods that are there and are not being removed."""
    items = place.cluster.core.list_namespaced_pod("default").items
    return {item.metadata.name for item in items if item.metadata.deletion_timestamp is None}


def _forget(yard, run_id):
    """Delete a run as Airflow's own page does: its row and nothing else."""
    with yard.session() as session:
        session.execute(delete(runs.DagRun).where(runs.DagRun.run_id == run_id))


def _tidies(**options):
    return [gone["name"] for gone in janitors.remove_orphaned(options.get("dry_run", False))["removed"]]


class TestPods:
    def test_the_pod_of_a_run_that_was_deleted_goes_and_the_log_says_why(self, place, caplog):
        name = _trains(place, _LATER)
        _forget(place.yard, LATER_RUN)
        with caplog.at_level(logging.INFO, "trainyard.airflow.maintenance"):
            assert _tidies() == [f"pod {name}"]
        assert f"removed pod {name}: Airflow knows no such run" in caplog.messages
        assert _pods(place) == set()

    def test_the_pod_of_a_run_that_is_over_goes(self, place, caplog):
        name = _trains(place, RUN)
        with caplog.at_level(logging.INFO, "trainyard.airflow.maintenance"):
            _tidies()
        assert _pods(place) == set()
        assert any(f"removed pod {name}: its run ended" in line for line in caplog.messages)

    def test_all_learners_of_a_run_that_is_over_go_with_the_service_between_them(self, place):
        names = [_trains(place, RUN, name=learner_name(RUN, 1, number)) for number in (1, 2)]
        several = replace(
            SMALL,
            key=RUN,
            plan=replace(SMALL.plan, learners=2),
            namespace="default",
            volume=WorkspaceVolume(folder=str(place.workspace.root)),
        )
        place.cluster.core.create_namespaced_service("default", run_objects(several).service)
        assert sorted(_tidies()) == sorted([*(f"pod {name}" for name in names), f"service {pod_name(RUN, 1)}"])
        assert (_pods(place), place.cluster.core.list_namespaced_service("default").items) == (set(), [])

    def test_the_service_of_a_run_that_is_going_stays(self, place):
        several = replace(SMALL, key=_LATER, plan=replace(SMALL.plan, learners=2), namespace="default")
        several = replace(several, volume=WorkspaceVolume(folder=str(place.workspace.root)))
        core = place.cluster.core
        core.create_namespaced_service("default", run_objects(several).service)
        try:
            assert _tidies() == []
            assert [each.metadata.name for each in core.list_namespaced_service("default").items] == [several.prefix]
        finally:
            core.delete_namespaced_service(several.prefix, "default")

    @pytest.mark.parametrize("state", ["running", "queued"])
    def test_the_pod_of_a_run_that_is_going_stays(self, place, state):
        name = _trains(place, _LATER)
        with place.yard.session() as session:
            session.scalar(select(runs.DagRun).where(runs.DagRun.run_id == LATER_RUN)).state = state
        assert _tidies() == []
        assert _pods(place) == {name}

    def test_a_run_that_is_cleared_is_going_again_and_keeps_its_pod(self, place):
        _trains(place, RUN)
        with place.yard.session() as session:
            session.scalar(select(runs.DagRun).where(runs.DagRun.run_id == MODEL_ID)).state = "queued"
        assert _tidies() == []

    def test_of_two_trainings_runs_with_one_id_only_the_pod_of_the_one_that_is_over_goes(self, place):
        start_run(place.yard, OTHER_RUN, run_id=LATER_RUN, train="success")
        with place.yard.session() as session:
            theirs = select(runs.DagRun).where(runs.DagRun.run_id == LATER_RUN, runs.DagRun.dag_id == OTHER_RUN)
            session.scalar(theirs).state = "failed"
        stays, goes = _trains(place, _LATER), _trains(place, _THEIRS)
        assert _tidies() == [f"pod {goes}"]
        assert _pods(place) == {stays}

    def test_a_training_that_was_just_registered_or_starts_again_keeps_its_pod(self, place):
        place.yard.catalogue.add(training("training-new000000", "vision"))
        name = _trains(place, RunKey.first_of("training-new000000"))
        assert _tidies() == []
        assert _pods(place) == {name}

    def test_a_pod_within_its_grace_stays(self, place, monkeypatch):
        monkeypatch.setenv("TRAINYARD_JANITOR_GRACE_SECONDS", "600")
        names = {_trains(place, _LATER), _trains(place, RUN)}
        _forget(place.yard, LATER_RUN)
        assert _tidies() == []
        assert _pods(place) == names

    def test_a_run_without_a_catalogue_is_still_airflows_and_keeps_its_pod(self, place):
        name = _trains(place, _LATER)
        for record in place.yard.catalogue.folder.iterdir():
            record.unlink()
        _tidies()
        assert _pods(place) == {name}

    def test_a_dry_pass_only_says_what_would_go(self, place, caplog):
        name = _trains(place, RUN)
        with caplog.at_level(logging.INFO, "trainyard.airflow.maintenance"):
            assert _tidies(dry_run=True) == [f"pod {name}"]
        assert any(line.startswith(f"would remove pod {name}: ") for line in caplog.messages)
        assert _pods(place) == {name}


_IDS = {TRAINING_ID: "training-000000000", RUN_LABEL: "training-000000000"}


class TestOthers:
    @pytest.mark.parametrize(
        "labels",
        [
            {},
            {"app": "notebook"},
            _IDS,
            {MANAGED_BY: "Helm", **_IDS},
            {MANAGED_BY: OURS},
            {MANAGED_BY: OURS, RUN_LABEL: "training-000000000"},
            {MANAGED_BY: OURS, TRAINING_ID: "training-000000000"},
        ],
        ids=["none", "their-own", "no-manager", "another-manager", "no-run", "no-training", "no-id"],
    )
    def test_a_pod_without_the_services_labels_is_never_touched(self, place, labels):
        name = _trains(place, _NOBODYS, name="theirs", labels=labels)
        assert _tidies() == []
        assert _pods(place) == {name}

    def test_a_pod_of_another_installation_in_the_same_namespace_is_never_touched(self, place, tmp_path):
        (tmp_path / "other").mkdir()
        other = {"volumes": [{"name": "workspace", "hostPath": {"path": str(tmp_path / "other")}}]}
        name = _trains(place, _NOBODYS, spec=other)
        assert _tidies() == []
        assert _pods(place) == {name}

    def test_a_workspace_that_is_a_claim_is_known_by_its_name(self):
        from trainyard.cluster.volumes import mounts_workspace, volumes

        whole = {"spec": {"volumes": volumes(SMALL)}}
        assert mounts_workspace(whole, WorkspaceVolume(claim="trainyard-workspace"))
        assert not mounts_workspace(whole, WorkspaceVolume(claim="another"))

    def test_a_pod_that_has_got_the_name_of_one_that_was_seen_is_another_one(self, place):
        client = hooks.KubernetesHook(conn_id=_CONNECTION).core_v1_client
        pods = podclient.TrainingPods(client, "default", 10)
        name = _trains(place, _LATER)
        (seen,) = pods.all(WorkspaceVolume(folder=str(place.workspace.root)))
        place.cluster.delete(name, 0)
        wait_for(lambda: place.cluster.pod(name) is None, "the end of the first pod")
        _trains(place, _LATER)
        pods.remove(seen, 0)
        assert _pods(place) == {name}


class TestDoubt:
    """Without a sure answer nothing goes."""

    def _nothing_goes(self, place, match):
        names = {_trains(place, RUN), _trains(place, _NOBODYS)}
        (place.workspace.run(RUN).model).mkdir(parents=True)
        with pytest.raises(failures.StepFailedError, match=match):
            janitors.remove_orphaned(False)
        assert _pods(place) == names
        assert place.workspace.run(RUN).model.exists()

    def test_a_front_door_that_does_not_answer_removes_nothing(self, place):
        def silent(*question):
            raise TrainyardError("S500", "the front door does not answer: ConnectError", "")

        place.door = silent
        self._nothing_goes(place, "does not answer")

    def test_a_database_without_any_run_removes_nothing(self, place):
        with place.yard.session() as session:
            session.execute(delete(runs.DagRun))
        self._nothing_goes(place, "has no run of any training")

    def test_a_run_of_which_the_answer_says_what_nobody_knows_keeps_its_pod(self, place):
        place.door = lambda *question: {"runs": [{"state": "something-newer", "ended_at": 0.0}]}
        name = _trains(place, RUN)
        assert _tidies() == []
        assert _pods(place) == {name}

    def test_a_cluster_that_does_not_answer_takes_no_dataset_from_what_may_run_there(self, place, monkeypatch):
        hasty = partial(podclient.TrainingPods, namespace="default", patience_seconds=0, retry_seconds=0)
        monkeypatch.setattr(apps.App, "pods", lambda app: hasty(app.core_client))
        place.workspace.run(RUN).model.mkdir(parents=True)
        place.cluster.kill()
        try:
            with pytest.raises(failures.StepFailedError, match="the Kubernetes API does not answer"):
                janitors.remove_orphaned(False)
        finally:
            place.cluster.start()
        assert place.workspace.run(RUN).model.exists()

    def test_what_cannot_be_removed_fails_the_task_is_named_and_keeps_nothing_else(self, place, caplog, monkeypatch):
        names = [_trains(place, RUN), _trains(place, _NOBODYS)]
        as_usual = podclient.TrainingPods.remove

        def refused(pods, one, grace_seconds):
            if one["metadata"]["name"] == names[0]:
                raise TrainyardError("S200", "the cluster refused the janitor: 403 Forbidden", "")
            as_usual(pods, one, grace_seconds)

        monkeypatch.setattr(podclient.TrainingPods, "remove", refused)
        with pytest.raises(failures.StepFailedError, match="1 things could not be removed"):
            janitors.remove_orphaned(False)
        assert f"could not remove pod {names[0]}: the cluster refused the janitor: 403 Forbidden" in caplog.messages
        assert _pods(place) == {names[0]}


class TestTwice:
    def test_two_janitors_at_once_are_harmless(self, place):
        names = {_trains(place, RUN), _trains(place, _NOBODYS)}
        stays = _trains(place, _LATER)
        both = Barrier(2, timeout=120)
        place.door = lambda *question: both.wait() and None  # each has looked before either hears whose they are
        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(lambda _: janitors.remove_orphaned(False), range(2)))
        assert all(
            {gone["name"] for gone in report["removed"]} == {f"pod {name}" for name in names} for report in reports
        )
        assert _pods(place) == {stays}

    def test_a_second_pass_finds_nothing(self, place):
        name = _trains(place, RUN)
        assert _tidies() == [f"pod {name}"]
        wait_for(lambda: place.cluster.pod(name) is None, "the end of the pod")
        assert _tidies() == []


class TestWorkspace:
    @pytest.fixture
    def run(self, place):
        """A run that is over and whose cleanup never was: a dataset is held, the program unpacked, results unsent."""
        run = place.workspace.run(RUN)
        for folder in (run.model, run.root / "model.part", run.result, run.logs):
            folder.mkdir(parents=True)
        (run.result / "weights").write_text("x")
        hold_data(place.workspace)
        return run

    def test_what_a_run_that_is_over_held_is_let_go_and_its_results_stay(self, place, run):
        assert _tidies() == [f"workspace {MODEL_ID}"]
        assert DatasetCache(place.workspace).held(str(RUN)) is None
        assert {path.name for path in run.root.iterdir()} == {"result", "logs"}
        assert (run.result / "weights").exists()
        assert _tidies() == []

    def test_while_a_pod_of_it_is_there_its_dataset_stays(self, place, run):
        name = _trains(place, RUN)
        assert _tidies() == [f"pod {name}"]
        assert DatasetCache(place.workspace).held(str(RUN)) is not None
        wait_for(lambda: place.cluster.pod(name) is None, "the end of the pod")
        assert _tidies() == [f"workspace {MODEL_ID}"]

    def test_what_a_run_that_is_going_holds_stays(self, place, run):
        with place.yard.session() as session:
            session.scalar(select(runs.DagRun).where(runs.DagRun.run_id == MODEL_ID)).state = "running"
        assert _tidies() == []
        assert DatasetCache(place.workspace).held(str(RUN)) is not None
        assert (run.root / "model.part").exists()

    def test_what_somebody_put_beside_the_runs_is_theirs(self, place):
        theirs = place.workspace.root / "runs" / "backup" / "model"
        theirs.mkdir(parents=True)
        assert _tidies() == []
        assert theirs.exists()

    def test_of_two_trainings_runs_with_one_id_only_what_is_of_the_one_that_is_over_goes(self, place, run):
        theirs = RunKey(OTHER_RUN, MODEL_ID)
        start_run(place.yard, OTHER_RUN, run_id=MODEL_ID, validate="success", stage="running")
        hold_data(place.workspace, theirs)
        place.workspace.run(theirs).model.mkdir(parents=True)
        assert _tidies() == [f"workspace {MODEL_ID}"]
        cache = DatasetCache(place.workspace)
        assert (cache.held(str(RUN)), cache.held(str(theirs)) is not None) == (None, True)
        assert (run.model.exists(), place.workspace.run(theirs).model.exists()) == (False, True)

    def test_a_hold_that_was_half_taken_goes(self, place):
        holds = place.workspace.root / "datasets" / ".holds"
        holds.mkdir(parents=True)
        (holds / f".{RUN}").write_text("da")
        assert _tidies() == [f"workspace {MODEL_ID}"]
        assert list(holds.iterdir()) == []


class TestRoute:
    def _reported(self, place, *asked):
        answer = place.root.post("/housekeeping/owners", json={"runs": [asdict(run) for run in asked]})
        return answer.json()["runs"]

    def test_an_admin_is_told_whose_run_is_going(self, place):
        assert self._reported(place, _LATER, _NOBODYS, RUN) == [
            {"state": "going", "ended_at": None},
            {"state": "unknown", "ended_at": None},
            {"state": "over", "ended_at": 1_767_312_000.0},
        ]

    @pytest.mark.parametrize("name", ["ada", "mallory"])
    def test_members_are_told_nothing(self, place, name):
        answer = place.yard.client(name).post("/housekeeping/owners", json={"runs": [asdict(RUN)]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "C106")

    @pytest.mark.parametrize(
        "asked", [{"model_ids": [MODEL_ID]}, {"runs": [MODEL_ID]}, {"runs": [{"model_id": MODEL_ID}]}]
    )
    def test_a_run_that_is_asked_about_without_its_training_is_refused(self, place, asked):
        answer = place.root.post("/housekeeping/owners", json=asked)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")

    def test_runs_of_two_trainings_with_one_id_are_told_apart(self, place):
        start_run(place.yard, OTHER_RUN, run_id=LATER_RUN, train="success")
        with place.yard.session() as session:
            theirs = select(runs.DagRun).where(runs.DagRun.run_id == LATER_RUN, runs.DagRun.dag_id == OTHER_RUN)
            session.scalar(theirs).state = "failed"
        assert [owner["state"] for owner in self._reported(place, _THEIRS, _LATER)] == ["over", "going"]
