"""Cancel and delete, and a stack that is started twice."""

from __future__ import annotations

import pytest
from test_runs import SLOW
from yard import Yard

pytestmark = pytest.mark.xdist_group("stack")

LONG = SLOW.format(seconds=600)


def test_a_running_training_is_canceled_and_what_it_made_is_stored(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", program=LONG)
    yard.until(model_id, lambda run: run["phase"] == "training")
    yard.trainyard("cancel", model_id)
    run = yard.finished(model_id)
    assert (run["state"], run["outcome"]["code"]) == ("canceled", "C204")
    assert "admin" in run["outcome"]["message"]
    assert yard.stored(model_id, "so-far.txt") == "half a model"
    assert yard.stored(model_id, "learner-1/training-log.txt").startswith("training\n")
    assert not [pod for pod in yard.pods() if model_id.lower() in pod]


def test_a_run_that_waits_for_a_gpu_can_be_canceled(yard: Yard) -> None:
    first = yard.submit("fails-with-3", "--account", "free", program=LONG)
    second = yard.submit("fails-with-3", "--account", "free", program=LONG)
    yard.until(first, lambda run: run["phase"] == "training")
    yard.until(second, lambda run: run["phase"] == "waiting-for-gpu")
    for model_id in (second, first):
        yard.trainyard("cancel", model_id)
    assert yard.finished(second)["state"] == "canceled"
    assert yard.finished(first)["state"] == "canceled"


def test_deleting_a_run_that_is_going_wants_a_yes_then_stops_it_and_leaves_the_bucket(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", program=LONG)
    yard.until(model_id, lambda run: run["phase"] == "training")
    refused = yard.trainyard("delete", model_id, fails=True)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    deleted = yard.trainyard("delete", "trained-models", model_id, "--yes")
    assert deleted.stdout.endswith("OK\nDelete trained-models successful\n")
    assert model_id not in yard.trainyard("list").stdout
    assert yard.results(model_id)["so-far.txt"] > 0
    gone = yard.data("show", model_id, fails=True)["error"]
    assert gone["code"] == "C107"
    connections = yard.airflow("/api/v2/connections?limit=1000").json()["connections"]
    assert not [each for each in connections if each["connection_id"].startswith(model_id)]
    assert not (yard.folder / "workspace" / "runs" / model_id).exists()


def test_starting_the_stack_again_leaves_what_runs_alone(yard: Yard) -> None:
    before = yard.stack.status()
    said: list[str] = []
    yard.stack.up(said.append)
    assert yard.stack.status() == before
    assert all(" is up" in line for line in said)
