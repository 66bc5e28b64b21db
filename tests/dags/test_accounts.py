"""The front door over Airflow's auth manager and database: two members of two accounts, and an admin."""

from __future__ import annotations

import warnings

import pytest
from late import Late
from samples import MODEL_ID, training
from sqlalchemy import select, text
from test_front_door import _CANCEL, _Http
from test_history import _ALL, _TRAINED, _end, _parse, _start, world  # noqa: F401 - a fixture

from trainyard.domain.outcome import Outcome

pytestmark = pytest.mark.xdist_group("airflow")

logs = Late("trainyard.airflow.tasklogs")
leftovers = Late("trainyard.airflow.leftovers")
usages = Late("trainyard.airflow.usage")
configuration = Late("airflow.configuration")
models = Late("airflow.models")
xcoms = Late("airflow.models.xcom")
users = Late("airflow.api_fastapi.auth.managers.simple.user")
_OTHER, _AGAIN = "training-Xz81mQ0aB", "training-again0000"
_QUOTAS = """
accounts:
  - {name: vision, gpus: 4, members: [ada], max_hours: 24}
  - {name: speech, gpus: 1, members: [grace], max_hours: 24}
"""
_NOW = 1_767_312_000.0  # 2026-01-02, when `_end` ends runs


@pytest.fixture
def yard(world, tmp_path, monkeypatch):  # noqa: F811
    """A training of each of two accounts, both have run; clients of ada, grace and root."""
    (tmp_path / "quotas.yaml").write_text(_QUOTAS)
    for name, value in {
        "QUOTAS_FILE": tmp_path / "quotas.yaml",
        "CATALOGUE": world.catalogue.folder,
        "WORKSPACE": tmp_path / "workspace",
    }.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", str(value))
    for training_id, account in ((MODEL_ID, "vision"), (_OTHER, "speech")):
        world.catalogue.add(training(training_id, account))
        _parse(world, training_id)
        _start(world, training_id, **_ALL)
        _end(world, training_id, train=_TRAINED)
    world.client = _clients()
    return world


def _clients():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.api_fastapi import app as airflow_app

        from trainyard.api.app import create_app
    app, manager = create_app(), airflow_app.create_auth_manager()
    manager.init()

    def client(name, role="user", **token):
        user = users.SimpleAuthManagerUser(username=name, role=role)
        return _Http(app, {"Authorization": f"Bearer {manager.generate_jwt(user, **token)}"})

    return client


_ROUTES = [
    ("GET", "", {}),
    ("GET", "/logs", {}),
    ("PATCH", "", {"json": _CANCEL}),
    ("DELETE", "", {}),
    ("GET", "/results", {}),
    ("GET", "/results/_submitted_code/model.zip", {}),
]


class TestMembers:
    @pytest.mark.parametrize(("verb", "end", "options"), _ROUTES)
    def test_a_run_of_others_is_as_one_that_does_not_exist_on_every_route(self, yard, verb, end, options):
        theirs = yard.client("ada").ask(verb, f"/models/{_OTHER}{end}", **options)
        nobodys = yard.client("ada").ask(verb, f"/models/training-000000000{end}", **options)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.text.replace(_OTHER, "") == nobodys.text.replace("training-000000000", "")
        assert yard.history.find(_OTHER) is not None

    def test_no_route_of_a_run_is_forgotten_here(self, yard):
        described = yard.client("ada").get("/openapi.json").json()["paths"]
        asked = {(verb, f"/models/{{model_id}}{end}") for verb, end, _ in _ROUTES}
        there = {(verb.upper(), path) for path, verbs in described.items() for verb in verbs if "{model_id}" in path}
        assert {each for each in there if each[1].count("{") == 1} <= asked

    @pytest.mark.parametrize(
        ("name", "role", "seen"),
        [("ada", "user", [MODEL_ID]), ("grace", "user", [_OTHER]), ("mallory", "user", []),
         ("root", "admin", [MODEL_ID, _OTHER])],
    )  # fmt: skip
    def test_everybody_lists_the_own_runs_and_an_admin_all(self, yard, name, role, seen):
        answer = yard.client(name, role).get("/models").json()
        assert (sorted(run["model_id"] for run in answer["resources"]), answer["total"]) == (seen, len(seen))

    def test_an_admin_reads_and_deletes_what_is_anybodys(self, yard):
        root = yard.client("root", "admin")
        assert root.get(f"/models/{_OTHER}").status_code == 200
        assert root.delete(f"/models/{_OTHER}").status_code == 204
        assert yard.catalogue.ids() == {MODEL_ID}

    def test_a_token_that_has_run_out_is_refused_with_the_cure(self, yard):
        answer = yard.client("ada", expiration_time_in_seconds=-60).get("/models")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (401, "C105")
        assert error["message"] == "the token has run out"
        assert "trainyard login" in error["cure"]


class TestQuota:
    def test_a_member_sees_the_own_accounts_with_the_hours_of_their_runs(self, yard, monkeypatch):
        from trainyard import quota

        monkeypatch.setattr(quota, "DAYS", 400_000)  # the runs here end on a fixed day
        (usage,) = yard.client("ada").get("/quota").json()["resources"]
        assert usage == {
            "account": "vision",
            "gpus": 4,
            "used": 0,
            "waiting_runs": 0,
            "waiting_gpus": 0,
            "gpu_hours": round(40 / 3600, 4),
        }

    def test_pools_follow_a_quota_that_was_raised_at_the_next_look(self, yard, tmp_path):
        ada = yard.client("ada")
        ada.get("/models")
        (tmp_path / "quotas.yaml").write_text(_QUOTAS.replace("gpus: 4", "gpus: 16"))
        ada.get("/models")
        with yard.session() as session:
            pool = session.scalar(select(models.Pool).where(models.Pool.pool == "gpus-vision"))
            assert pool.slots == 16


class TestShares:
    @pytest.fixture
    def usage(self, yard):
        return usages.AirflowUsage(yard.catalogue, yard.started.get, lambda: _NOW + 60)

    def _of(self, usage, account="vision"):
        return [share for share in usage.shares(_NOW - 10) if share.account == account and share.gpus]

    def test_a_run_that_has_ended_counts_with_its_outcome(self, usage):
        (share,) = self._of(usage)
        assert (share.holding, share.waiting, share.gpu_seconds) == (False, False, 40.0)
        assert usage.shares(_NOW + 10) == []

    @pytest.mark.parametrize("state", ["queued", "running", "deferred"])
    def test_a_train_step_that_has_its_slots_holds_gpus_and_counts_since_its_program_started(self, yard, usage, state):
        _start(yard, run_id=_AGAIN, validate="success", stage="success", train=state)
        yard.started[_AGAIN] = _NOW
        share = next(share for share in self._of(usage) if share.holding)
        assert (share.waiting, share.gpu_seconds) == (False, 60.0)

    @pytest.mark.parametrize("train", [None, "scheduled", "up_for_retry"])
    def test_a_train_step_without_slots_waits(self, yard, usage, train):
        _start(yard, run_id=_AGAIN, validate="success", stage="success", train=train)
        share = next(share for share in self._of(usage) if share.waiting)
        assert (share.gpus, share.holding, share.gpu_seconds) == (1, False, 0.0)

    def test_a_run_that_stores_its_results_holds_nothing_any_more(self, yard, usage):
        _start(yard, run_id=_AGAIN, validate="success", stage="success", train="success", upload="running")
        assert not any(share.holding or share.waiting for share in self._of(usage))

    def test_a_run_whose_program_was_stopped_counts_what_it_used_up_to_then(self, yard, usage):
        _start(yard, run_id=_AGAIN, train="failed", upload="success")
        _end(yard, _AGAIN, "failed")
        used = Outcome(gpu_seconds=7.0, started_at=1.0, finished_at=8.0).as_dict()
        with yard.session() as session:
            where = {"dag_id": MODEL_ID, "task_id": "upload", "run_id": _AGAIN, "session": session}
            xcoms.XComModel.set("used", used, **where)
        assert 7.0 in [share.gpu_seconds for share in self._of(usage)]

    def test_a_training_that_airflow_does_not_know_yet_waits(self, yard, usage):
        yard.catalogue.add(training("training-new000000", "vision"))
        assert [share.waiting for share in self._of(usage)].count(True) == 1


class TestHousekeeping:
    def test_a_dry_sweep_tells_an_admin_what_would_go(self, yard):
        report = yard.client("root", "admin").post("/housekeeping", json={"dry_run": True}).json()
        assert sorted(report["runs"]) == sorted(report["trainings"]) == [MODEL_ID, _OTHER]
        assert yard.history.page(None, 10, 0)[1] == 2

    def test_a_sweep_removes_history_dags_and_logs_of_what_is_past_its_time(self, yard, monkeypatch, tmp_path):
        monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path / "logs"))
        step = tmp_path / "logs" / f"dag_id={MODEL_ID}" / f"run_id={MODEL_ID}" / "task_id=train"
        step.mkdir(parents=True)
        _start(yard, _OTHER, run_id=_AGAIN, validate="running")
        report = yard.client("root", "admin").post("/housekeeping", json={}).json()
        assert (sorted(report["runs"]), report["trainings"]) == ([MODEL_ID, _OTHER], [MODEL_ID])
        assert yard.catalogue.ids() == {_OTHER}
        assert [run.model_id for run in yard.history.page(None, 10, 0)[0]] == [_AGAIN]
        assert list((tmp_path / "logs").iterdir()) == []
        with yard.session() as session:
            assert session.scalar(text("select count(*) from dag")) == 1

    @pytest.mark.parametrize("name", ["ada", "mallory"])
    def test_members_keep_no_house(self, yard, name):
        answer = yard.client(name).post("/housekeeping", json={"dry_run": True})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "C106")

    def test_a_dag_whose_record_is_gone_is_found_and_removed_unless_it_is_running(self, yard):
        held = leftovers.AirflowLeftovers()
        later = 2e10
        assert held.trainings(later) == {MODEL_ID, _OTHER}
        assert held.trainings(_NOW - 1e9) == set()
        _start(yard, _OTHER, run_id=_AGAIN, validate="running")
        assert held.trainings(later) == {MODEL_ID}
        held.forget_training(MODEL_ID)
        held.forget_training(MODEL_ID)
        assert held.run_ids() == {_OTHER, _AGAIN}


class TestLogsOfSteps:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
        for run_id in (MODEL_ID, _AGAIN):
            (tmp_path / f"dag_id={MODEL_ID}" / f"run_id={run_id}" / "task_id=train").mkdir(parents=True)
        return tmp_path / f"dag_id={MODEL_ID}"

    def test_the_logs_of_a_run_go_and_those_of_others_stay(self, folder):
        logs.remove_task_logs(MODEL_ID, _AGAIN)
        assert [path.name for path in folder.iterdir()] == [f"run_id={MODEL_ID}"]
        logs.remove_task_logs(MODEL_ID, MODEL_ID)
        logs.remove_task_logs(MODEL_ID, MODEL_ID)
        assert not folder.exists()

    @pytest.mark.parametrize("run_id", ["", ".", "..", "../x", "a/b"])
    def test_no_name_leads_out_of_the_folder(self, folder, run_id):
        logs.remove_task_logs(MODEL_ID, run_id)
        assert len(list(folder.iterdir())) == 2

    def test_deleting_a_run_removes_them_too(self, yard, folder):
        assert yard.client("ada").delete(f"/models/{MODEL_ID}").status_code == 204
        assert [path.name for path in folder.iterdir()] == [f"run_id={_AGAIN}"]


def test_the_oldest_automated_run_gives_its_place_only_when_no_other_one_is_left(yard):
    """A schedule counts from the newest automated run: moving that one back would repeat runs."""
    _start(yard, run_id=_AGAIN, **_ALL)
    _end(yard, _AGAIN, train=_TRAINED)
    with yard.session() as session:
        session.execute(text("update dag_run set run_type = 'scheduled'"))
        before = session.scalar(text(f"select logical_date from dag_run where run_id = '{_AGAIN}'"))
    yard.history.forget(yard.history.find(MODEL_ID))
    with yard.session() as session:
        assert session.scalar(text(f"select logical_date from dag_run where run_id = '{_AGAIN}'")) == before
