"""Searches over Airflow's real tables: driven through the front door, seen by members of the account alone."""

from __future__ import annotations

import warnings

import pytest
from accountsyard import yard as yard  # a fixture
from frontdoorfakes import Http
from historyworld import ALL_STEPS, end_run, leave_xcom, parse_dag, start_run
from historyworld import world as world  # a fixture of the fixture
from late import Late
from samples import training
from sqlalchemy import select

from trainyard.core.search.deciding import Ledger
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.search.trials import trial_id
from trainyard.core.starts import Kind, Start
from trainyard.domain.outcome import Outcome
from trainyard.domain.search import MAX_TRIALS, Choices, Goal, Real, SearchSpec
from trainyard.web.words import number as shown_number

pytestmark = pytest.mark.xdist_group("airflow")

runs = Late("airflow.models.dagrun")
users = Late("airflow.api_fastapi.auth.managers.simple.user")
dags = Late("trainyard.airflow.dag")

SEARCH_ID = "training-search000"
SPACE = {"lr": Real(0.0, 1.0), "opt": Choices(("sgd", "adam"))}
SEARCH = SearchSpec("acc", Goal.MAXIMIZE, 6, SPACE, parallel=3, seed=1)


@pytest.fixture
def search(yard):
    """A search of ada's account that has just been registered, and whose first trial Airflow has made."""
    own = {"lr": 0.5, "opt": "sgd"}
    one = training(SEARCH_ID, "vision", search=SEARCH, hyperparameters=own, experiment="tuning", submitted_at=2e9)
    first = Start(SEARCH_ID, SEARCH_ID, "ada", one.submitted_at, {"lr": 0.25}, Kind.TRIAL, trial=0)
    yard.catalogue.starts.register(first)
    Ledgers(yard.catalogue.folder / SEARCHES).keep(SEARCH_ID, Ledger(began_at=one.submitted_at, asked=1))
    yard.catalogue.add(one)
    parse_dag(yard, SEARCH_ID)
    start_run(yard, SEARCH_ID)
    yard.root, yard.ada, yard.grace = yard.client("root", "admin"), yard.client("ada"), yard.client("grace")
    return yard


def _ended(world, model_id, value):
    outcome = Outcome(None, exit_code=0, gpu_seconds=36.0, started_at=1.0, finished_at=601.0)
    with world.session() as session:
        run = session.scalars(select(runs.DagRun).where(runs.DagRun.run_id == model_id)).one()
        for step in run.get_task_instances(session=session):
            step.state = ALL_STEPS[step.task_id]
    end_run(world, model_id, training_id=SEARCH_ID, train=outcome)
    metrics = {"acc": {"last": value, "minimum": value, "maximum": value}}
    leave_xcom(world, metrics, "metrics", "upload", SEARCH_ID, model_id)


def test_its_trials_become_runs_of_its_one_training_and_the_best_is_found(search):
    assert search.root.post("/searches/due").json()["again_seconds"] > 0
    found = search.ada.get("/searches/tuning").json()
    assert (found["state"], found["total"], found["counts"]) == ("running", 6, {"waiting": 3})
    assert [trial["model_id"] for trial in found["trials"]] == [trial_id(SEARCH_ID, number) for number in range(3)]
    listed = search.ada.get("/models?experiment=tuning").json()["resources"]
    assert {run["training_id"] for run in listed} == {SEARCH_ID}
    assert {run["trial"] for run in listed} == {0, 1, 2}
    first = next(run for run in listed if run["model_id"] == SEARCH_ID)
    assert first["hyperparameters"] == {"lr": 0.25, "opt": "sgd"}
    for number, value in enumerate((0.2, 0.9)):
        _ended(search, trial_id(SEARCH_ID, number), value)
    search.root.post("/searches/due")
    found = search.ada.get(f"/searches/{trial_id(SEARCH_ID, 2)}").json()
    assert found["counts"] == {"completed": 2, "waiting": 3}
    assert (found["best"]["number"], found["best"]["value"]) == (1, 0.9)
    assert found["gpu_hours"] == pytest.approx(0.02)


def test_it_is_told_by_a_patch_and_its_owners_alone(search):
    place, pause = "/searches/tuning", [{"op": "replace", "path": "/state", "value": "paused"}]
    assert search.ada.patch(place, json=pause).json()["state"] == "paused"
    more = [{"op": "add", "path": "/trials", "value": 4}]
    assert search.ada.patch(place, json=more).json()["total"] == 10
    for wrong in ([], [{**more[0], "value": "4"}], [{**pause[0], "value": {}}]):
        assert search.ada.patch(place, json=wrong).status_code == 400
    assert search.grace.get(place).status_code == 404
    assert search.grace.patch(place, json=pause).status_code == 404
    assert search.grace.post("/searches/due").status_code == 403
    assert search.ada.get("/searches/training-Xz81mQ0aB").status_code == 404


def test_airflow_holds_no_trial_back_so_that_its_successor_waits_for_its_gpu_while_it_is_being_stored(search):
    assert dags.training_dag(search.catalogue.get(SEARCH_ID)).max_active_runs == MAX_TRIALS


@pytest.fixture
def browser(search):
    """What makes a browser of somebody who is signed in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.api_fastapi import app as airflow_app

        from trainyard.api.app import create_app
        from trainyard.web.app import create_pages
    app, manager = create_pages(create_app()), airflow_app.create_auth_manager()
    manager.init()

    def browser(name):
        user = users.SimpleAuthManagerUser(username=name, role="user")
        return Http(app, {"Cookie": f"_token={manager.generate_jwt(user)}"})

    return browser


def test_lists_of_runs_say_the_point_of_each(search, browser):
    search.root.post("/searches/due")
    start = search.catalogue.starts.get(trial_id(SEARCH_ID, 1))
    point = f"lr={shown_number(start.values['lr'])}</bdi>, <bdi>opt={start.values['opt']}"
    assert point in browser("ada").get("/").text
    narrowed = browser("ada").get("/?experiment=tuning").text  # where the values have columns of their own
    assert '<th scope="col" class="num varied"><bdi>lr</bdi></th>' in narrowed
    assert point not in narrowed


def test_its_page_shows_how_it_goes_and_nobody_elses(search, browser):
    search.root.post("/searches/due")
    empty = browser("ada").get("/searches/tuning").text
    assert "No trial has a value of acc yet" in empty
    for number, value in enumerate((0.2, 0.9, 0.5)):
        _ended(search, trial_id(SEARCH_ID, number), value)
    search.root.post("/searches/due")
    shown = browser("ada").get("/searches/tuning").text
    assert "Over the trials" in shown
    assert f"/runs/{trial_id(SEARCH_ID, 1)}" in shown
    assert "What matters" in shown
    assert browser("grace").get("/searches/tuning").status_code == 404
    assert "/searches/tuning" in browser("ada").get("/experiments").text
