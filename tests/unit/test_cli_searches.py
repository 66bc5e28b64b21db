"""`trainyard experiments` and `best`, `NAME@best`, and searches in Python."""

from __future__ import annotations

import json

import pytest

from trainyard import Client, TrainyardError

pytest_plugins = ["cli_front_door"]

ID, OTHER = "training-DOl4q2LkR", "training-7GmPz0wQe"
TRIALS = [
    {"number": 0, "model_id": ID, "state": "completed", "value": 0.5, "point": {"lr": 0.1}},
    {"number": 1, "model_id": OTHER, "state": "completed", "value": 0.9, "point": {"lr": 0.2, "opt": "a\x1b[31m"}},
]
SEARCH = {
    "training_id": ID,
    "state": "over",
    "over": "all its trials have ended",
    "experiment": "tuning",
    "metric": "acc",
    "goal": "maximize",
    "total": 2,
    "counts": {"completed": 2},
    "best": TRIALS[1],
    "trials": TRIALS,
}


def force(front_door, verb, place, status, body, times=1):
    from cli_front_door import Answer

    for _ in range(times):
        front_door.force(verb, place, Answer(status, body))


def answer(front_door, verb="GET", name="tuning", times=1, **changes):
    force(front_door, verb, f"/v3/searches/{name}", 200, {**SEARCH, **changes}, times)


class TestCommands:
    def test_the_best_trials_come_first_and_their_values_cannot_steer_a_terminal(self, cli, front_door):
        answer(front_door)
        done = cli("experiments", "show", "tuning", "--top", "1")
        assert (done.code, done.err) == (0, "")
        assert "State          over: all its trials have ended" in done.out
        assert "\x1b" not in done.out
        assert OTHER in done.out
        assert f"0       {ID}" not in done.out

    def test_a_metric_that_no_trial_has_is_told(self, cli, front_door):
        blank = [{**trial, "value": None} for trial in TRIALS]
        answer(front_door, trials=blank, best=None)
        assert "no trial has a value of it" in cli("experiments", "show", "tuning").out

    def test_the_runs_of_an_experiment_are_canceled_after_its_search_which_would_start_others(self, cli, front_door):
        for model_id in (ID, OTHER):
            front_door.add(model_id, state="running", experiment="tuning", training_id=ID)
        answer(front_door, "PATCH")
        force(front_door, "PATCH", f"/v3/searches/{ID}", 409, {"error": {"code": "C111", "message": "it is over"}})
        done = cli("cancel", "--experiment", "tuning")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("The search of tuning starts no run any more.\n")
        assert [f"Canceling the trained model '{one}' ..." in done.out for one in (ID, OTHER)] == [True, True]

    def test_the_best_is_its_model_id_and_nothing_else(self, cli, front_door):
        answer(front_door, times=2)
        assert cli("best", "tuning").out == f"{OTHER}\n"
        assert cli("best", "tuning", "-o", "json").data == {"model_id": OTHER}

    def test_without_a_best_one_the_reason_is_told(self, cli, front_door):
        answer(front_door, best=None)
        done = cli("best", "tuning")
        assert done.code == 1
        assert "C111" in done.err
        assert "no trial of tuning has a value of acc yet" in done.err

    @pytest.mark.parametrize(
        ("words", "change"),
        [
            (["pause", "tuning"], [{"op": "replace", "path": "/state", "value": "paused"}]),
            (["resume", "tuning"], [{"op": "replace", "path": "/state", "value": "running"}]),
            (["cancel", "tuning"], [{"op": "replace", "path": "/state", "value": "canceled"}]),
            (["extend", "tuning", "--trials", "+20"], [{"op": "add", "path": "/trials", "value": 20}]),
            (["extend", "tuning", "--trials", "5"], [{"op": "add", "path": "/trials", "value": 5}]),
        ],
    )
    def test_what_people_tell_a_search(self, cli, front_door, words, change):
        answer(front_door, "PATCH")
        done = cli("experiments", *words)
        assert (done.code, done.err) == (0, "")
        assert json.loads(front_door.received[-1]) == change

    def test_a_number_that_is_none_is_wrong_usage(self, cli):
        assert cli("experiments", "extend", "tuning", "--trials", "many").code == 2

    def test_the_best_of_an_experiment_is_downloaded(self, cli, front_door, home):
        answer(front_door)
        front_door.add(OTHER, state="completed", phase="done")
        front_door.results[OTHER] = {"model/weights": b"x"}
        assert cli("download", "tuning@best").code == 0
        assert (home / OTHER / "model" / "weights").read_bytes() == b"x"


class TestPython:
    @pytest.fixture
    def experiment(self, front_door, home):
        answer(front_door)
        answer(front_door, name=ID, times=9)
        with Client(front_door.url, token="good") as client:
            yield client.experiment("tuning")

    def test_an_experiment_has_its_best_run_and_its_trials_as_rows(self, experiment, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "pandas", None)
        assert (experiment.id, experiment.state, experiment.best.id) == (ID, "over", OTHER)
        assert [run.id for run in experiment.runs] == [ID, OTHER]
        rows = experiment.dataframe()
        assert [(row["number"], row["value"], row["lr"]) for row in rows] == [(0, 0.5, 0.1), (1, 0.9, 0.2)]
        assert experiment.wait(timeout=120) is experiment
        assert "<td>" in experiment._repr_html_()

    def test_a_search_is_submitted_with_its_manifest(self, front_door, home):
        force(front_door, "POST", "/v3/models", 202, {"model_id": ID}, times=2)
        (home / "train.py").write_text("pass\n")
        (home / "job.yaml").write_text("model_definition: {name: x}\n")
        told = {"metric": "acc", "goal": "maximize", "trials": 2, "space": {"lr": [1, 2]}}
        with Client(front_door.url, token="good") as client:
            assert client.search(home, home / "job.yaml", told, experiment="tuning").id == ID
            assert b'model_definition: {name: x}\nsearch: {"metric": "acc"' in front_door.received[-1]
            client.search(home, {"model_definition": {"name": "x"}}, told)
            assert b'{"model_definition": {"name": "x"}, "search": {"metric"' in front_door.received[-1]

    def test_a_search_without_a_value_has_no_best(self, front_door, home):
        answer(front_door, best=None)
        answer(front_door, name=ID, best=None)
        with Client(front_door.url, token="good") as client, pytest.raises(TrainyardError, match="no trial"):
            client.experiment("tuning").best.id  # noqa: B018
