"""A training is run again from Airflow, with values of its own for size, command and hyperparameters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from runprograms import trigger
from yard import Yard

from trainyard.domain.names import is_model_id

pytestmark = pytest.mark.xdist_group("other stack")

PROGRAM = """
import json, os, pathlib, sys
seen = {name: os.environ[name] for name in ("lr", "epochs", "nesterov", "note", "GPU_COUNT", "TRAINING_ID")}
seen |= {"config": json.loads(pathlib.Path("config.json").read_text()), "arguments": sys.argv[1:]}
pathlib.Path(os.environ["RESULT_DIR"], "seen.json").write_text(json.dumps(seen))
"""
OWN = {"lr": 0.1, "epochs": 3, "nesterov": True, "note": "a $(b) ${c} $$ {{ d }}"}
CHANGED = {"size": "medium", "lr": 1, "epochs": 5, "nesterov": False}


def _with_hyperparameters(manifest: str) -> str:
    values = f"hyperparameters: {json.dumps(OWN)}"
    command = 'python3 train.py --lr ${lr} "${note}"'
    return manifest.replace("    command: python3 train.py --epochs 3", f"    command: {command}\n    {values}")


@pytest.fixture(scope="module")
def training(yard: Yard) -> str:
    model_id = yard.submit("fails-with-3", change=_with_hyperparameters, program=PROGRAM)
    yard.finished(model_id)
    return model_id


@pytest.fixture(scope="module")
def triggered(yard: Yard, training: str) -> str:
    answer = trigger(yard, training, CHANGED)
    assert answer.status_code == 200, answer.text
    model_id: str = answer.json()["dag_run_id"]
    yard.finished(model_id)
    return model_id


def test_the_first_run_has_the_manifests_values(yard: Yard, training: str) -> None:
    run = yard.run(training)
    assert (run["state"], run["overrides"], run["gpus"]) == ("completed", {}, 1)
    seen = json.loads(yard.stored(training, "seen.json"))
    assert seen["config"] == OWN
    assert seen["arguments"] == ["--lr", "0.1", OWN["note"]]
    assert [seen[name] for name in OWN] == ["0.1", "3", "true", OWN["note"]]
    assert "Overrides" not in yard.trainyard("show", training).stdout


def test_a_triggered_run_is_a_run_of_its_own_with_its_own_values(yard: Yard, training: str, triggered: str) -> None:
    assert is_model_id(triggered)
    assert triggered != training
    seen = json.loads(yard.stored(triggered, "seen.json"))
    assert (seen["TRAINING_ID"], seen["GPU_COUNT"]) == (triggered, "2")
    assert seen["config"] == {**OWN, "lr": 1.0, "epochs": 5, "nesterov": False}
    assert seen["arguments"][:2] == ["--lr", "1.0"]


def test_it_takes_as_many_slots_as_its_size_has_gpus(yard: Yard, training: str, triggered: str) -> None:
    for run, slots in ((training, 1), (triggered, 2)):
        train = yard.airflow(f"/api/v2/dags/{training}/dagRuns/{run}/taskInstances/train").json()
        assert (train["pool"], train["pool_slots"]) == ("gpus-default", slots)


def test_show_tells_what_was_overridden(yard: Yard, triggered: str) -> None:
    run = yard.run(triggered)
    assert run["overrides"] == {"size": "medium", "lr": 1.0, "epochs": 5, "nesterov": False}
    assert run["gpus"] == 2
    shown = yard.trainyard("show", triggered).stdout
    assert "Overrides      size=medium, lr=1.0, epochs=5, nesterov=false\n" in shown


@pytest.mark.parametrize(
    "values",
    [{"epochs": "five"}, {"epochs": 2.5}, {"nesterov": 1}, {"lr": "0.1"}, {"size": "k80x9"}, {"command": " "}],
    ids=str,
)
def test_a_wrong_value_is_refused_before_anything_runs(yard: Yard, training: str, values: dict[str, Any]) -> None:
    answer = trigger(yard, training, values)
    assert answer.status_code == 400
    assert next(iter(values)) in answer.text


def test_a_value_that_the_form_does_not_have_ends_the_run_and_names_those_it_has(yard: Yard, training: str) -> None:
    answer = trigger(yard, training, {"learning_rate": 0.5})
    outcome = yard.finished(answer.json()["dag_run_id"])["outcome"]
    assert outcome["code"] == "C110"
    assert "learning_rate" in outcome["message"]
    assert "lr" in outcome["message"]
