"""The front door over Airflow's auth manager and database: two members of two accounts, and an admin."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from accountsyard import LATER_RUN, OTHER_RUN, QUOTAS, clients
from accountsyard import yard as yard  # a fixture
from frontdoorfakes import CANCEL_PATCH, Http
from historyworld import ALL_STEPS, HOSTILE_VALUES, TRAINED, end_run, leave_xcom, start_run
from historyworld import world as world  # a fixture
from late import Late
from samples import MODEL_ID, RUN, training
from sqlalchemy import select, text

from trainyard.domain.metricrules import MetricRules
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.workspace.layout import Workspace
from trainyard.workspace.metrics.readings import read_whole

pytestmark = pytest.mark.xdist_group("airflow")

logs = Late("trainyard.airflow.leftovers")
leftovers = Late("trainyard.airflow.leftovers")
usages = Late("trainyard.airflow.usage")
models = Late("airflow.models")
xcoms = Late("airflow.models.xcom")
dagruns = Late("airflow.models.dagrun")
_FRESH_RUN = "training-fresh0000"
_NOW = 1_767_312_000.0  # 2026-01-02, when `end_run` ends runs


_ROUTES = [
    ("GET", "", {}),
    ("GET", "/logs", {}),
    ("GET", "/metrics", {}),
    ("GET", "/metrics?follow=true", {}),
    ("PATCH", "", {"json": CANCEL_PATCH}),
    ("DELETE", "", {}),
    ("POST", "/rerun", {"json": {}}),
    ("GET", f"/diff/{MODEL_ID}", {}),
    ("GET", "/summaries", {}),
    ("GET", "/summaries/logs/tb/events.out.tfevents.1", {}),
    ("POST", "/undelete", {}),
    ("GET", "/files", {}),
    ("GET", "/files/model.h5", {}),
    ("GET", "/results", {}),
    ("GET", "/results.zip", {}),
    ("GET", "/results/_submitted_code/model.zip", {}),
]


class TestMembers:
    @pytest.mark.parametrize(("verb", "end", "options"), _ROUTES)
    def test_a_run_of_others_is_as_one_that_does_not_exist_on_every_route(self, yard, verb, end, options):
        theirs = yard.client("ada").ask(verb, f"/models/{OTHER_RUN}{end}", **options)
        orphaned = yard.client("ada").ask(verb, f"/models/training-000000000{end}", **options)
        assert theirs.status_code == orphaned.status_code == 404
        assert theirs.text.replace(OTHER_RUN, "") == orphaned.text.replace("training-000000000", "")
        assert yard.history.find(OTHER_RUN) is not None

    def test_a_run_is_not_compared_with_one_of_others(self, yard):
        ada = yard.client("ada")
        theirs, none = (ada.get(f"/models/{MODEL_ID}/diff/{other}") for other in (OTHER_RUN, "training-000000000"))
        assert theirs.status_code == none.status_code == 404
        assert theirs.text.replace(OTHER_RUN, "") == none.text.replace("training-000000000", "")
        assert ada.get(f"/models/{MODEL_ID}/diff/{MODEL_ID}").json()["same"] is True

    def test_where_a_zip_is_gone_everything_else_is_compared(self, yard):
        yard.catalogue.add(training(_FRESH_RUN, "vision", zip_sha256="f" * 64))
        found = yard.client("ada").get(f"/models/{MODEL_ID}/diff/{_FRESH_RUN}").json()
        assert (found["same"], found["files"]) == (False, None)
        assert "state" in [each["name"] for each in found["outcome"]]

    def test_no_route_of_a_run_is_forgotten_here(self, yard):
        described = yard.client("ada").get("/openapi.json").json()["paths"]
        asked = {(verb, f"/models/{{model_id}}{end.partition('?')[0]}") for verb, end, _ in _ROUTES}
        there = {(verb.upper(), path) for path, verbs in described.items() for verb in verbs if "{model_id}" in path}
        assert {each for each in there if each[1].count("{") == 1} <= asked

    def test_without_a_token_nothing_answers_that_is_anybodys_business(self, yard):
        described = yard.client("ada").get("/openapi.json").json()["paths"]
        nobody = Http(yard.client("ada").app)
        asked = {
            (verb, path): nobody.ask(verb, path.replace("{model_id}", MODEL_ID)).status_code
            for path, verbs in described.items()
            for verb in map(str.upper, verbs)
        }
        open_ones = {path for (_, path), status in asked.items() if status != 401}
        assert open_ones == {"/schemas", "/schemas/{name}"}
        assert len(asked) > 20

    @pytest.mark.parametrize(
        ("name", "role", "seen"),
        [("ada", "user", [MODEL_ID]), ("grace", "user", [OTHER_RUN]), ("mallory", "user", []),
         ("root", "admin", [MODEL_ID, OTHER_RUN])],
    )  # fmt: skip
    def test_everybody_lists_the_own_runs_and_an_admin_all(self, yard, name, role, seen):
        answer = yard.client(name, role).get("/models").json()
        assert (sorted(run["model_id"] for run in answer["resources"]), answer["total"]) == (seen, len(seen))

    def test_an_admin_reads_and_deletes_what_is_anybodys(self, yard):
        root = yard.client("root", "admin")
        assert root.get(f"/models/{OTHER_RUN}").status_code == 200
        assert root.delete(f"/models/{OTHER_RUN}", params={"now": "true"}).status_code == 204
        assert yard.catalogue.ids() == {MODEL_ID}

    def test_a_token_that_has_run_out_is_refused_with_the_hint(self, yard):
        answer = yard.client("ada", expiration_time_in_seconds=-60).get("/models")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (401, "C105")
        assert error["message"] == "the token has run out"
        assert "trainyard login" in error["hint"]


_VALUES = {"loss": {"last": 0.25, "minimum": 0.25, "maximum": 2.0}}


class TestMetrics:
    def test_a_member_reads_the_final_values_of_a_run_in_list_and_outcome(self, yard):
        leave_xcom(yard, _VALUES, "metrics", "upload")
        run = yard.client("ada").get(f"/models/{MODEL_ID}").json()
        (listed,) = yard.client("ada").get("/models").json()["resources"]
        assert run["metrics"] == listed["metrics"] == {"loss": 0.25}
        assert run["outcome"]["metrics"] == _VALUES

    @pytest.mark.parametrize("value", [7, {"loss": 7}, {"loss": {"last": "x"}}, {"loss": {"last": True}}, [1]])
    def test_values_that_no_step_can_have_left_fail_no_answer(self, yard, value):
        leave_xcom(yard, value, "metrics", "upload")
        assert yard.client("ada").get(f"/models/{MODEL_ID}").json()["metrics"] == {}

    def test_what_a_run_is_made_of_is_told(self, yard):
        run = yard.client("ada").get(f"/models/{MODEL_ID}").json()
        assert (run["owner"], run["image"]) == ("ada", "registry.example.com/tensorflow:2.16")
        assert run["zip_sha256"] == "0" * 64

    def test_curves_of_the_workspace_are_the_members_alone(self, yard, tmp_path):
        folder = Workspace(tmp_path / "workspace").run(RUN)
        folder.logs.mkdir(parents=True)
        (folder.logs / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n')
        read_whole(folder, MetricRules())
        answer = yard.client("ada").get(f"/models/{MODEL_ID}/metrics")
        assert answer.json()["curves"][0]["points"] == [[1.0, None, 2.0], [2.0, None, 1.0]]
        assert (answer.json()["complete"], answer.json()["whole"]) == (True, True)
        assert yard.client("grace").get(f"/models/{MODEL_ID}/metrics").status_code == 404
        assert yard.client("root", "admin").get(f"/models/{MODEL_ID}/metrics").json() == answer.json()

    @pytest.mark.parametrize("end", ["/metrics", "/metrics?follow=true"])
    def test_nobody_reads_none(self, yard, end):
        nobody = Http(yard.client("ada").app)
        assert nobody.get(f"/models/{MODEL_ID}{end}").status_code == 401


class TestQuota:
    def test_a_member_sees_the_own_accounts_with_the_hours_of_their_runs(self, yard, monkeypatch):
        from trainyard.core import quota

        monkeypatch.setattr(quota, "DAYS", 400_000)  # the runs here end on a fixed day
        (usage,) = yard.client("ada").get("/quota").json()["resources"]
        assert usage == {
            "account": "vision",
            "gpus": 4,
            "used": 0,
            "waiting_runs": 0,
            "waiting_gpus": 0,
            "gpu_hours": round(40 / 3600, 4),
            "budget": None,
        }

    def test_pools_follow_a_quota_that_was_raised_at_the_next_look(self, yard, tmp_path):
        ada = yard.client("ada")
        ada.get("/models")
        (tmp_path / "quotas.yaml").write_text(QUOTAS.replace("gpus: 4", "gpus: 16"))
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
        start_run(yard, run_id=LATER_RUN, validate="success", stage="success", train=state)
        yard.started[RunKey(MODEL_ID, LATER_RUN)] = _NOW
        share = next(share for share in self._of(usage) if share.holding)
        assert (share.waiting, share.gpu_seconds) == (False, 60.0)

    @pytest.mark.parametrize("train", [None, "scheduled", "up_for_retry"])
    def test_a_train_step_without_slots_waits(self, yard, usage, train):
        start_run(yard, run_id=LATER_RUN, validate="success", stage="success", train=train)
        share = next(share for share in self._of(usage) if share.waiting)
        assert (share.gpus, share.holding, share.gpu_seconds) == (1, False, 0.0)

    def test_a_run_that_stores_its_results_holds_nothing_any_more(self, yard, usage):
        start_run(yard, run_id=LATER_RUN, validate="success", stage="success", train="success", upload="running")
        assert not any(share.holding or share.waiting for share in self._of(usage))

    def test_a_run_whose_program_was_stopped_counts_what_it_used_up_to_then(self, yard, usage):
        start_run(yard, run_id=LATER_RUN, train="failed", upload="success")
        end_run(yard, LATER_RUN, "failed")
        used = Outcome(gpu_seconds=7.0, started_at=1.0, finished_at=8.0).as_dict()
        with yard.session() as session:
            where = {"dag_id": MODEL_ID, "task_id": "upload", "run_id": LATER_RUN, "session": session}
            xcoms.XComModel.set("used", used, **where)
        assert 7.0 in [share.gpu_seconds for share in self._of(usage)]

    @pytest.mark.parametrize("value", HOSTILE_VALUES, ids=repr)
    @pytest.mark.parametrize(("key", "step"), [("outcome", "train"), ("used", "upload")])
    def test_what_is_no_outcome_counts_nothing_and_the_others_as_ever(self, yard, usage, value, key, step):
        start_run(yard, OTHER_RUN, run_id=LATER_RUN, **ALL_STEPS)
        leave_xcom(yard, value, key, step, OTHER_RUN, LATER_RUN)
        end_run(yard, LATER_RUN, training_id=OTHER_RUN)
        assert [share.gpu_seconds for share in self._of(usage)] == [40.0]
        theirs = self._of(usage, "speech")
        assert sorted(share.gpu_seconds for share in theirs) == [0.0, 40.0]
        assert all(0 <= share.seconds_since(0.0) <= 40.0 for share in theirs)

    def test_a_run_counts_no_more_than_its_own_time_on_the_gpus_it_can_have(self, yard, usage):
        """A century is an amount that an outcome can have; the run was there for a minute and may ask for one GPU."""
        start_run(yard, run_id=LATER_RUN, **ALL_STEPS)
        leave_xcom(yard, Outcome(gpu_seconds=3e9, started_at=0.0, finished_at=1e9).as_dict(), run_id=LATER_RUN)
        end_run(yard, LATER_RUN)
        with yard.session() as session:
            run = session.scalars(select(dagruns.DagRun).where(dagruns.DagRun.run_id == LATER_RUN)).one()
            run.queued_at = run.end_date - timedelta(seconds=60)
        assert sorted(share.gpu_seconds for share in self._of(usage)) == [40.0, 60.0]

    def test_a_run_counts_once_where_what_it_used_is_told_beside_its_outcome(self, yard, usage):
        leave_xcom(yard, Outcome(gpu_seconds=30.0, started_at=1.0, finished_at=31.0).as_dict(), "used", "upload")
        assert [share.gpu_seconds for share in self._of(usage)] == [40.0]

    def test_runs_of_two_trainings_with_one_id_count_for_their_own_accounts(self, yard, usage):
        for training_id in (MODEL_ID, OTHER_RUN):
            start_run(yard, training_id, run_id=LATER_RUN, validate="success", stage="success", train="running")
        yard.started |= {RunKey(MODEL_ID, LATER_RUN): _NOW, RunKey(OTHER_RUN, LATER_RUN): _NOW + 50}
        holding = {share.account: share.gpu_seconds for share in usage.shares(_NOW - 10) if share.holding}
        assert holding == {"vision": 60.0, "speech": 10.0}

    def test_a_training_that_airflow_does_not_know_yet_waits(self, yard, usage):
        yard.catalogue.add(training("training-new000000", "vision"))
        assert [share.waiting for share in self._of(usage)].count(True) == 1


class TestHousekeeping:
    def test_a_dry_sweep_tells_an_admin_what_would_go(self, yard):
        report = yard.client("root", "admin").post("/housekeeping", json={"dry_run": True}).json()
        assert sorted(report["runs"]) == sorted(report["trainings"]) == [MODEL_ID, OTHER_RUN]
        assert yard.history.page(None, 10, 0)[1] == 2

    def test_a_sweep_removes_history_dags_and_logs_of_what_is_past_its_time(self, yard, monkeypatch, tmp_path):
        monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path / "logs"))
        step = tmp_path / "logs" / f"dag_id={MODEL_ID}" / f"run_id={MODEL_ID}" / "task_id=train"
        step.mkdir(parents=True)
        start_run(yard, OTHER_RUN, run_id=LATER_RUN, validate="running")
        report = yard.client("root", "admin").post("/housekeeping", json={}).json()
        assert (sorted(report["runs"]), report["trainings"]) == ([MODEL_ID, OTHER_RUN], [MODEL_ID])
        assert yard.catalogue.ids() == {OTHER_RUN}
        assert [run.model_id for run in yard.history.page(None, 10, 0)[0]] == [LATER_RUN]
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
        assert held.trainings(later) == {MODEL_ID, OTHER_RUN}
        assert held.trainings(_NOW - 1e9) == set()
        start_run(yard, OTHER_RUN, run_id=LATER_RUN, validate="running")
        assert held.trainings(later) == {MODEL_ID}
        held.forget_training(MODEL_ID)
        held.forget_training(MODEL_ID)
        assert held.runs() == {RunKey.first_of(OTHER_RUN), RunKey(OTHER_RUN, LATER_RUN)}

    def test_runs_of_two_trainings_with_one_id_have_their_own_ends(self, yard):
        held = leftovers.AirflowLeftovers()
        mine, theirs = RunKey(MODEL_ID, LATER_RUN), RunKey(OTHER_RUN, LATER_RUN)
        for run in (mine, theirs):
            start_run(yard, run.training_id, run_id=LATER_RUN, **ALL_STEPS)
        end_run(yard, LATER_RUN, "failed", OTHER_RUN)
        assert held.ends([mine, theirs, RunKey(OTHER_RUN, MODEL_ID)]) == {mine: None, theirs: _NOW}
        assert held.ends([]) == {}
        assert held.runs() == {RUN, RunKey.first_of(OTHER_RUN), mine, theirs}


class TestFolders:
    """What housekeeping takes from the workspace; folders count by their last change."""

    @pytest.fixture
    def workspace(self, yard, tmp_path):
        return Workspace(tmp_path / "workspace")

    def _old(self, path):
        path.mkdir(parents=True, exist_ok=True)
        for each in (path, path.parent):
            os.utime(each, (1000, 1000))
        return path

    def _sweeps(self, yard):
        return yard.client("root", "admin").post("/housekeeping", json={}).json()["orphans"]

    @pytest.fixture(autouse=True)
    def _no_run_is_past_its_time(self, yard, monkeypatch):
        monkeypatch.setenv("TRAINYARD_RETENTION_DAYS", "100000")
        yard.client = clients()

    def test_the_folder_of_an_unknown_training_goes_with_its_last_run(self, yard, workspace):
        gone = RunKey("training-000000000", MODEL_ID)
        known = self._old(workspace.run(RUN).root)
        self._old(workspace.run(gone).root)
        assert self._sweeps(yard)[0] == f"workspace {MODEL_ID}"
        assert not workspace.training(gone.training_id).exists()
        assert known.exists()

    def test_what_else_lay_in_the_folder_of_an_unknown_training_goes_once_its_runs_have_gone_a_day_ago(
        self, yard, workspace
    ):
        gone = RunKey("training-000000000", MODEL_ID)
        self._old(workspace.run(gone).root)
        notes = workspace.training(gone.training_id) / "notes"
        notes.mkdir()
        self._sweeps(yard)
        self._old(notes)
        assert self._sweeps(yard) == ["workspace of training-000000000"]
        assert not workspace.training(gone.training_id).exists()

    def test_a_dry_sweep_tells_of_an_unknown_trainings_folder_what_the_sweep_then_does(self, yard, workspace):
        self._old(workspace.run(RunKey.first_of("training-000000000")).root)
        dry = yard.client("root", "admin").post("/housekeeping", json={"dry_run": True}).json()["orphans"]
        assert self._sweeps(yard) == dry

    def test_a_run_folder_of_the_old_layout_goes_once_its_training_is_unknown(self, yard, workspace):
        old = self._old(workspace.training("training-000000000") / "logs")
        known = self._old(workspace.training(MODEL_ID) / "logs")
        assert self._sweeps(yard) == ["workspace of training-000000000"]
        assert not old.parent.exists()
        assert known.exists()

    def test_a_run_that_has_the_id_of_another_trainings_run_keeps_no_folder_of_its_own(self, yard, workspace):
        self._old(workspace.run(RunKey(OTHER_RUN, MODEL_ID)).root)
        known = self._old(workspace.run(RUN).root)
        assert self._sweeps(yard) == [f"workspace {MODEL_ID}"]
        assert known.exists()
        assert not workspace.run(RunKey(OTHER_RUN, MODEL_ID)).root.exists()

    def test_what_changed_today_or_is_somebody_elses_stays(self, yard, workspace):
        young = workspace.run(RunKey.first_of("training-000000000")).root
        young.mkdir(parents=True)
        theirs = self._old(workspace.root / "runs" / "backup" / MODEL_ID)
        assert self._sweeps(yard) == []
        assert young.exists()
        assert theirs.exists()

    def test_a_run_of_airflows_own_making_with_an_id_of_another_form_can_be_deleted(self, yard, workspace):
        start_run(yard, run_id="manual__2026", **ALL_STEPS)
        end_run(yard, "manual__2026")
        assert yard.client("ada").delete("/models/manual__2026").status_code == 204
        assert yard.history.find("manual__2026") is None


class TestLogsOfSteps:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
        for run_id in (MODEL_ID, LATER_RUN):
            (tmp_path / f"dag_id={MODEL_ID}" / f"run_id={run_id}" / "task_id=train").mkdir(parents=True)
        return tmp_path / f"dag_id={MODEL_ID}"

    def test_the_logs_of_a_run_go_and_those_of_others_stay(self, folder):
        logs.remove_task_logs(MODEL_ID, LATER_RUN)
        assert [path.name for path in folder.iterdir()] == [f"run_id={MODEL_ID}"]
        logs.remove_task_logs(MODEL_ID, MODEL_ID)
        logs.remove_task_logs(MODEL_ID, MODEL_ID)
        assert not folder.exists()

    @pytest.mark.parametrize("run_id", ["", ".", "..", "../x", "a/b"])
    def test_no_name_leads_out_of_the_folder(self, folder, run_id):
        logs.remove_task_logs(MODEL_ID, run_id)
        assert len(list(folder.iterdir())) == 2

    def test_deleting_a_run_removes_them_too(self, yard, folder):
        assert yard.client("ada").delete(f"/models/{MODEL_ID}", params={"now": "true"}).status_code == 204
        assert [path.name for path in folder.iterdir()] == [f"run_id={LATER_RUN}"]


def test_the_oldest_automated_run_gives_its_place_only_when_no_other_one_is_left(yard):
    """A schedule counts from the newest automated run: moving that one back would repeat runs."""
    start_run(yard, run_id=LATER_RUN, **ALL_STEPS)
    end_run(yard, LATER_RUN, train=TRAINED)
    with yard.session() as session:
        session.execute(text("update dag_run set run_type = 'scheduled'"))
        before = session.scalar(text(f"select logical_date from dag_run where run_id = '{LATER_RUN}'"))
    yard.history.forget(yard.history.find(MODEL_ID))
    with yard.session() as session:
        assert session.scalar(text(f"select logical_date from dag_run where run_id = '{LATER_RUN}'")) == before
