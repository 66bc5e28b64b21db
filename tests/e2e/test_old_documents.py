"""A training definition and an experiment of 2018, stored, run and followed as they were then, on a real stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from yard import Yard

pytestmark = pytest.mark.xdist_group("other stack")

# What the samples of 2018 do: values from config.json, metrics below SUBID, the objective in val_dict_list.json.
PROGRAM = """
import json, os
values = json.load(open("config.json"))
os.makedirs(os.path.join(os.environ["LOG_DIR"], os.environ["SUBID"]), exist_ok=True)
with open(os.path.join(os.environ["LOG_DIR"], os.environ["SUBID"], "evaluation-metrics.txt"), "a") as file:
    iteration = {"type": 2, "value": "1"}
    metric = {"type": 3, "value": str(values["rate"])}
    line = {"meta": {}, "grouplabel": "train", "etimes": {"iteration": iteration}, "values": {"speed": metric}}
    file.write(json.dumps(line) + chr(10))
with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
    json.dump([{"steps": step, "accuracy": values["rate"] * step} for step in (1, 2)], file)
print("rate", values["rate"], "of", os.environ["SUBID"], "with", *__import__("sys").argv[1:])
"""


def documents(yard: Yard, tmp_path: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Return zip and file of a training definition, and an experiment of it whose definition is to be named."""
    manifest, model = yard.files("fails-with-3", program=PROGRAM)
    text = yaml.safe_load(manifest.read_text())
    own = text["model_definition"]
    definition = {
        "name": "rates",
        "framework": own["framework"],
        "command": "python3 train.py",
        "execution": {"hyperparameters": {"rate": 0.25}},
        "training_data_reference": text["training_data_reference"],
    }
    experiment = {
        "settings": {"name": "Rates", "description": "As in 2018."},
        "training_references": [
            {"name": "as-stored", "compute_configuration": {"name": "k80"}},
            {"name": "other", "command": "python3 train.py more", "compute_configuration": {"name": "k80"}},
        ],
        "training_results_reference": text["training_results_reference"],
    }
    file = tmp_path / "definition.yml"
    file.write_text(yaml.safe_dump(definition))
    return model, file, experiment


def store_experiment(yard: Yard, tmp_path: Path, experiment: dict[str, Any], definition_id: str) -> str:
    for reference in experiment["training_references"]:
        place = "https://ibm-watson-ml.mybluemix.net/v3/ml_assets/training_definitions"
        reference["training_definition_url"] = f"{place}/{definition_id}"
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(experiment))
    stored: str = yard.data("store", "experiments", str(file))["id"]
    return stored


def test_an_experiment_of_2018_runs_as_it_is(yard: Yard, tmp_path: Path) -> None:
    model, file, experiment = documents(yard, tmp_path)
    definition_id = yard.data("store", "training-definitions", str(model), str(file))["id"]
    stored = store_experiment(yard, tmp_path, experiment, definition_id)
    run = yard.data("experiments", "run", stored)["id"]
    shown = yard.trainyard("monitor", "experiments", stored, run, "logs").stdout
    assert sorted(line.partition("] ")[2] for line in shown.splitlines() if line.startswith("[")) == [
        "rate 0.25 of learner-1 with",
        "rate 0.25 of learner-1 with more",
    ]
    assert shown.endswith(f"OK\nExperiment-run '{run}' is completed\n")
    trainings = yard.data("list", "training-runs", stored, run)["resources"]
    assert {each["name"]: each["state"] for each in trainings} == {"as-stored": "completed", "other": "completed"}
    for each in trainings:
        assert each["experiment"] == f"Rates ({run[:8]})"
        assert (each["metrics"]["accuracy"], each["metrics"]["train/speed"]) == (0.5, 0.25)
    (found,) = yard.data("list", "experiment-runs", stored)["resources"]
    assert (found["state"], found["states"]) == ("completed", {"completed": 2})
    yard.trainyard("delete", "experiment-runs", stored, run)
    yard.trainyard("delete", "experiments", stored)
    yard.trainyard("delete", "training-definitions", definition_id)
    assert yard.data("list", "experiments")["total"] == yard.data("list", "training-definitions")["total"] == 0
    yard.trainyard("show", trainings[0]["model_id"], fails=True)


SEARCH = {
    "method": {
        "name": "rbfopt",
        "parameters": [
            {"name": "objective", "string_value": "accuracy"},
            {"name": "maximize_or_minimize", "string_value": "maximize"},
            {"name": "num_optimizer_steps", "int_value": 3},
        ],
    },
    "hyper_parameters": [
        {"name": "rate", "double_range": {"min_value": -3, "max_value": -1, "power": 2}},
        {"name": "kind", "string_values": ["plain", "fancy"]},
    ],
}


def test_a_search_of_2018_finds_its_best_run(yard: Yard, tmp_path: Path) -> None:
    model, file, experiment = documents(yard, tmp_path)
    definition_id = yard.data("store", "training-definitions", str(model), str(file))["id"]
    del experiment["training_references"][1]
    experiment["training_references"][0]["hyper_parameters_optimization"] = SEARCH
    stored = store_experiment(yard, tmp_path, experiment, definition_id)
    run = yard.data("experiments", "run", stored)["id"]
    done = yard.data("monitor", "experiments", stored, run)
    assert (done["state"], done["states"]) == ("completed", {"completed": 3})
    trials = done["trainings"]
    assert all(each["hyperparameters"]["rate"] in (0.125, 0.25, 0.5) for each in trials)
    assert all(each["metrics"]["accuracy"] == 2 * each["hyperparameters"]["rate"] for each in trials)
    logs = [yard.stored(each["model_id"], "learner-1/training-log.txt") for each in trials]
    assert sorted(log.split()[3] for log in logs) == ["0", "1", "2"]
    best = max(each["metrics"]["accuracy"] for each in trials)
    assert yard.data("experiments", "show", done["experiment"])["best"]["value"] == best
