"""Scheduled runs over Airflow's real tables, the watcher of schedules, and the DAG that starts what is due."""

from __future__ import annotations

import asyncio
import os
import runpy
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakedoor import client_of
from historyworld import add_training, end_run, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from memorystore import MemoryStore
from samples import MODEL_ID, RUN, training
from sqlalchemy import select, update

from trainyard.core.catalogue import Catalogue
from trainyard.core.schedules import Entry, Schedules
from trainyard.core.starts import Kind, Start
from trainyard.domain.names import RunKey, is_model_id
from trainyard.domain.schedule import Progress, Schedule
from trainyard.settings import read_settings
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

dag_models = Late("airflow.models.dag")
runs = Late("airflow.models.dagrun")
scheduled = Late("trainyard.airflow.scheduledruns")
triggers = Late("trainyard.airflow.scheduletrigger")
tasks = Late("trainyard.airflow.retraintask")
_FILE = Path(__file__).resolve().parents[2] / "dags" / "retraining.py"
_OTHER = "training-Xz81mQ0aB"
_DUE = 1_800_000_000.0
_HOURLY = Schedule(cron="0 * * * *")


@pytest.fixture
def first(world):
    """A training whose first run has ended; what starts scheduled runs."""
    add_training(world)
    parse_dag(world)
    start_run(world)
    end_run(world)
    return _runs()


def _runs(**staged):
    """Return what starts scheduled runs; `staged` is the version that each run has, by its model id."""
    return scheduled.AirflowScheduledRuns(lambda run: staged.get(run.model_id) if run.training_id == MODEL_ID else None)


def _types(world):
    with world.session() as session:
        rows = session.execute(select(runs.DagRun.run_id, runs.DagRun.run_type, runs.DagRun.state))
        return {row.run_id: (str(row.run_type), str(row.state)) for row in rows}


class TestRuns:
    def test_a_run_that_is_due_is_a_scheduled_run_with_a_model_id_of_its_own(self, world, first):
        model_id = first.start(MODEL_ID, _DUE)
        assert is_model_id(model_id)
        assert model_id != MODEL_ID
        assert _types(world)[model_id] == ("scheduled", "queued")
        assert first.newest([MODEL_ID, _OTHER]) == {MODEL_ID: model_id}
        assert world.history.find(model_id).training_id == MODEL_ID

    def test_one_with_a_point_of_its_own_has_the_id_that_was_derived_for_it(self, world, first):
        start = Start("training-derived00", MODEL_ID, "ada", 1.0, {"size": "large"}, Kind.SCHEDULED)
        world.catalogue.starts.register(start)
        assert first.start(MODEL_ID, _DUE, start) == "training-derived00"
        assert first.start(MODEL_ID, _DUE, start) == "training-derived00"
        assert _types(world)["training-derived00"] == ("scheduled", "queued")

    def test_the_same_moment_is_one_run(self, world, first):
        assert first.start(MODEL_ID, _DUE) == first.start(MODEL_ID, _DUE)
        assert first.start(MODEL_ID, _DUE + 60) != first.start(MODEL_ID, _DUE)
        assert len(_types(world)) == 3

    def test_it_goes_until_it_has_ended(self, world, first):
        assert not first.going(MODEL_ID)
        model_id = first.start(MODEL_ID, _DUE)
        assert first.going(MODEL_ID)
        end_run(world, model_id, "failed")
        assert not first.going(MODEL_ID)

    def test_the_first_run_counts_and_one_that_a_person_triggered_does_not(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world)
        found = _runs()
        assert found.going(MODEL_ID)
        end_run(world)
        start_run(world, run_id="training-again0000")
        assert not found.going(MODEL_ID)

    def test_a_training_that_airflow_does_not_know_starts_nothing(self, world):
        found = _runs()
        assert found.start(MODEL_ID, _DUE) is None
        assert found.newest([MODEL_ID]) == {}
        assert found.held([MODEL_ID]) == set()

    def test_a_dag_that_is_paused_in_airflow_is_held(self, world, first):
        assert first.held([MODEL_ID]) == set()
        with world.session() as session:
            session.execute(update(dag_models.DagModel).values(is_paused=True))
        assert first.held([MODEL_ID, _OTHER]) == {MODEL_ID}
        assert first.held([_OTHER]) == set()

    def test_many_trainings_are_asked_about_at_once(self, world, first):
        with world.session() as session:
            session.execute(update(dag_models.DagModel).values(is_paused=True))
        many = [f"training-{number:09d}" for number in range(40_000)]
        assert first.held([*many, MODEL_ID]) == {MODEL_ID}
        assert first.newest([*many, MODEL_ID]) == {MODEL_ID: MODEL_ID}

    def test_what_it_was_trained_on_is_what_the_newest_run_staged(self, world, first):
        assert first.trained_on(MODEL_ID) is None
        later = first.start(MODEL_ID, _DUE)
        assert _runs(**{MODEL_ID: "old", later: "new"}).trained_on(MODEL_ID) == "new"
        assert _runs(**{MODEL_ID: "old"}).trained_on(MODEL_ID) == "old"

    def test_what_a_run_of_another_training_with_the_same_id_staged_does_not_count(self, world, first):
        add_training(world, _OTHER)
        parse_dag(world, _OTHER)
        start_run(world, _OTHER, run_id=MODEL_ID)
        staged = {RunKey(_OTHER, MODEL_ID): "theirs"}
        assert scheduled.AirflowScheduledRuns(staged.get).trained_on(MODEL_ID) is None
        assert scheduled.AirflowScheduledRuns(staged.get).trained_on(_OTHER) == "theirs"

    def test_the_version_is_read_from_the_folder_of_the_run_and_one_without_a_folder_is_passed_over(
        self, world, first, tmp_path, monkeypatch
    ):
        from trainyard.airflow.app import App

        monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
        monkeypatch.setenv("TRAINYARD_CATALOGUE", str(world.catalogue.folder))
        found = App(read_settings(os.environ)).retraining.runs
        start_run(world, run_id="manual__2026")
        assert found.trained_on(MODEL_ID) is None
        dataset = Workspace(tmp_path / "workspace").run(RUN).dataset
        dataset.parent.mkdir(parents=True)
        dataset.write_text("a-version")
        assert found.trained_on(MODEL_ID) == "a-version"

    def test_the_scheduler_starts_the_first_run_no_second_time_after_a_scheduled_one(self, world, first):
        first.start(MODEL_ID, _DUE)
        parse_dag(world)
        with world.session() as session:
            model = session.scalar(select(dag_models.DagModel).where(dag_models.DagModel.dag_id == MODEL_ID))
            assert (model.next_dagrun, model.timetable_summary) == (None, "once")


class _Looks:
    """A clock that goes on by as many seconds from each look to the next."""

    def __init__(self, begins, seconds):
        self.now, self._seconds = begins - seconds, seconds

    def __call__(self):
        self.now += self._seconds
        return self.now


class TestWatcher:
    def _events(self, trigger, count):
        async def some():
            found, events = [], trigger.run()
            try:
                while len(found) < count:
                    found.append((await asyncio.wait_for(anext(events), 120)).payload)
            finally:
                await events.aclose()
            return found

        return asyncio.run(some())

    def _keep(self, folder, training_id, settled):
        Schedules(folder).keep(Entry(training_id, _HOURLY, Progress(settled)))

    def test_it_fires_for_what_is_due_and_again_after_a_while(self, tmp_path):
        self._keep(tmp_path, "training-0000000aA", _DUE - 7200)
        self._keep(tmp_path, "training-00000lAte", _DUE + 7200)
        clock = _Looks(_DUE, 10)
        trigger = triggers.ScheduleTrigger(str(tmp_path), 0, clock)
        assert self._events(trigger, 3) == [{"due": ["training-0000000aA"]}] * 3
        assert clock.now == _DUE + 60

    def test_it_fires_for_a_run_that_was_asked_for_and_not_made(self, tmp_path):
        Catalogue(tmp_path).starts.add(Start("training-0000000aB", MODEL_ID, "ada", 1.0))
        os.utime(tmp_path / "starts" / "pending" / "training-0000000aB.json", (_DUE, _DUE))
        clock = _Looks(_DUE, 1)
        trigger = triggers.ScheduleTrigger(str(tmp_path), 0, clock)
        assert self._events(trigger, 1) == [{"due": ["training-0000000aB"]}]
        assert clock.now == _DUE + 4  # whoever asked was about to make it until then

    def test_schedules_that_cannot_be_read_do_not_end_it(self, tmp_path):
        (tmp_path / "training-0000000aA.schedule").write_text("half a")
        reported = []

        class Repaired(triggers.ScheduleTrigger):
            def report(trigger, error):  # noqa: N805
                super().report(error)
                reported.append(error)
                self._keep(tmp_path, "training-0000000aA", time.time() - 7200)

        assert self._events(Repaired(str(tmp_path), 0.05), 1) == [{"due": ["training-0000000aA"]}]
        assert len(reported) == 1

    def test_it_comes_back_from_the_database_as_it_was(self):
        path, arguments = triggers.ScheduleTrigger("/srv/catalogue", 5.0).serialize()
        assert path == "trainyard.airflow.scheduletrigger.ScheduleTrigger"
        assert triggers.ScheduleTrigger(**arguments).serialize() == (path, arguments)


class TestTask:
    @pytest.fixture
    def door(self, monkeypatch):
        """A front door with answers prepared; it notes what it is asked."""
        asked, answers = [], []

        def answer(*question):
            asked.append(question)
            return answers.pop(0)

        monkeypatch.setattr("trainyard.airflow.frontdoor.front_door", lambda: client_of(answer))
        return asked, answers

    @pytest.fixture
    def data(self, monkeypatch, tmp_path):
        """The data bucket of a training that is trained whenever it changes."""
        monkeypatch.setenv("TRAINYARD_CATALOGUE", str(tmp_path))
        made = training()
        Catalogue(tmp_path).add(replace(made, spec=replace(made.spec, schedule=Schedule(every_seconds=900))))
        store = MemoryStore()
        monkeypatch.setattr("trainyard.airflow.app.App.data_store", lambda app, training: store)
        return store

    def test_what_is_due_is_started_by_the_front_door(self, door):
        asked, answers = door
        answers.append({"started": ["training-0000000aA"], "looks": []})
        assert tasks.retrain() == ["training-0000000aA"]
        assert asked == [("POST", "/v3/schedules/due")]

    def test_data_that_is_due_is_looked_at_and_its_version_told(self, door, data):
        asked, answers = door
        data.contents["a.csv"] = b"1"
        look = {"training_id": MODEL_ID, "due": _DUE}
        answers += [{"started": [], "looks": [look]}, {"started": "training-b"}]
        assert tasks.retrain() == ["training-b"]
        data.contents["b.csv"] = b"2"
        answers += [{"started": [], "looks": [look]}, {"started": None}]
        assert tasks.retrain() == []
        (_, place, first), (_, _, second) = asked[1], asked[3]
        assert place == f"/v3/schedules/{MODEL_ID}/looks"
        assert first["due"] == _DUE
        assert len({first["version"], second["version"], None}) == 3

    def test_data_that_cannot_be_looked_at_is_told_with_the_reason(self, door, data):
        asked, answers = door
        answers += [{"started": [], "looks": [{"training_id": MODEL_ID, "due": _DUE}]}, {"started": None}]
        assert tasks.retrain() == []
        assert asked[1][2]["failure"].startswith("C103: ")
        assert "version" not in asked[1][2]


@pytest.mark.filterwarnings("ignore")  # of what Airflow imports at its first use
def test_the_dag_waits_for_the_watcher_and_says_what_to_do_when_nothing_starts(monkeypatch):
    from airflow.sdk import DAG

    monkeypatch.setenv("TRAINYARD_CATALOGUE", "/srv/catalogue")
    found = runpy.run_path(str(_FILE))
    (dag,) = [one for one in found.values() if isinstance(one, DAG)]
    assert (list(dag.task_dict), dag.max_active_runs, dag.catchup) == (["retrain"], 1, False)
    assert found["_trigger"].serialize()[1]["catalogue"] == "/srv/catalogue"
    assert "A training was not started" in dag.doc_md
