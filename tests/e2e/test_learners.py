"""Runs of several learners on the one-machine stack: they find one another, end together, and leave nothing."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest
from yard import Yard

from trainyard.local.demo import RESULTS_BUCKET
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

WAITS = """
import os, time
print("learner", os.environ["LEARNER_ID"], "trains", flush=True)
begun = time.monotonic()
if os.environ["LEARNER_ID"] == "2":
    # A pod's times are whole seconds: what is shorter may count as none.
    while not os.path.exists(os.environ["RESULT_DIR"] + "/go") or time.monotonic() < begun + 2:
        time.sleep(0.1)
    print("no labels", flush=True)
    raise SystemExit(3)
time.sleep(600)
"""

COUNTED = """
import os, pathlib, time
result, number = pathlib.Path(os.environ["RESULT_DIR"]), os.environ["LEARNER_ID"]
with open(result / ("begun-" + number), "a") as begun:
    begun.write("x")
while not (result / "go").exists():
    time.sleep(0.1)
"""


def on_cluster(yard: Yard, model_id: str) -> list[str]:
    """The names of what the cluster has of a run: its pods and its service."""
    return yard.kubectl("get", "pods,services", "-l", f"trainyard/model-id={model_id}", "-o", "name").split()


def phases(yard: Yard, model_id: str) -> list[str]:
    """The phases of a run's pods, as the cluster reports them."""
    of_it = ("get", "pods", "-l", f"trainyard/model-id={model_id}")
    return yard.kubectl(*of_it, "-o", "jsonpath={.items[*].status.phase}").split()


@pytest.fixture(scope="module")
def exchanging(yard: Yard) -> str:
    return yard.submit("learners")


@pytest.fixture(scope="module")
def failing(yard: Yard, exchanging: str) -> dict[str, Any]:
    """A run of three learners, of which the second failed while the others trained; how long the rest took."""
    model_id = yard.submit("learners", program=WAITS)
    yard.until(model_id, lambda run: run["state"] == "running")
    wait_for(lambda: len(on_cluster(yard, model_id)) == 4, 120)
    wait_for(lambda: phases(yard, model_id) == ["Running"] * 3, 120)
    yard.let_end(model_id)
    begun = time.monotonic()
    run = yard.finished(model_id)
    return {**run, "seconds": time.monotonic() - begun}


class TestTogether:
    def test_they_find_one_another_and_what_they_have_learned_is_in_the_bucket(self, yard, exchanging):
        run = yard.finished(exchanging)
        assert (run["state"], run["learners"], run["gpus"]) == ("completed", 3, 3), run
        stored = yard.folder / "objects" / RESULTS_BUCKET / exchanging
        assert json.loads((stored / "model" / "line.json").read_text()) == {"slope": 3.0, "offset": 1.0, "learners": 3}
        for number in (1, 2, 3):
            log = (stored / f"learner-{number}" / "training-log.txt").read_text()
            assert f"learner {number} has found y = 3.00 x + 1.00" in log

    def test_metrics_are_the_first_learners(self, yard, exchanging):
        run = yard.finished(exchanging)
        assert run["metrics"]["loss"] < 0.01

    def test_logs_are_shown_line_by_line_with_their_learner_or_one_learners_alone(self, yard, exchanging):
        yard.finished(exchanging)
        lines = yard.trainyard("logs", exchanging).stdout.splitlines()
        assert {line[:4] for line in lines} == {"[1] ", "[2] ", "[3] "}
        alone = yard.trainyard("logs", exchanging, "--learner", "2").stdout
        assert alone.startswith("learner 2 of 3 listens at ")
        assert "has no learner 4" in yard.trainyard("logs", exchanging, "--learner", "4", fails=True).stderr

    def test_a_run_shows_how_many_they_are(self, yard, exchanging):
        yard.finished(exchanging)
        assert "Learners" in yard.trainyard("show", "trained-models", exchanging).stdout


class TestEnds:
    def test_one_that_fails_ends_the_others_at_once_and_is_named(self, yard, failing):
        outcome = failing["outcome"]
        assert (failing["state"], outcome["exit_code"]) == ("error", 3)
        assert outcome["message"] == "learner 2 of 3: the training program ended with exit code 3: no labels"
        assert "--learner 2" in outcome["hint"]
        assert failing["seconds"] < 120

    def test_what_all_of_them_held_is_what_the_account_pays(self, failing):
        outcome = failing["outcome"]
        begun, ended = (datetime.fromisoformat(outcome[name]) for name in ("started_at", "finished_at"))
        assert outcome["gpu_seconds"] > (ended - begun).total_seconds() > 0

    def test_nothing_of_it_is_left_on_the_cluster(self, yard, failing):
        wait_for(lambda: on_cluster(yard, failing["model_id"]) == [], 120)
        assert on_cluster(yard, failing["model_id"]) == []

    def test_a_canceled_run_is_stopped_whole(self, yard, failing):
        model_id = yard.submit("learners", program=WAITS)
        yard.until(model_id, lambda run: run["state"] == "running")
        yard.trainyard("cancel", model_id)
        assert yard.finished(model_id)["state"] == "canceled"
        wait_for(lambda: on_cluster(yard, model_id) == [], 120)
        assert on_cluster(yard, model_id) == []


class TestDeaths:
    @pytest.mark.parametrize("pods", [1, 3], ids=["while they are made", "while they train"])
    def test_a_killed_scheduler_costs_the_run_nothing(self, yard, failing, pods):
        model_id = yard.submit("learners", program=COUNTED)
        wait_for(lambda: len(phases(yard, model_id)) >= pods, 120)
        if pods == 3:
            wait_for(lambda: phases(yard, model_id) == ["Running"] * 3, 120)
        yard.kill("scheduler")
        yard.until(model_id, lambda run: run["state"] == "running")
        yard.let_end(model_id)
        run = yard.finished(model_id)
        assert run["state"] == "completed", run
        assert [yard.stored(model_id, f"begun-{number}") for number in (1, 2, 3)] == ["x"] * 3
        wait_for(lambda: on_cluster(yard, model_id) == [], 120)
        assert on_cluster(yard, model_id) == []
