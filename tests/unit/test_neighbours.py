"""What REST interfaces of 2018 and later took and answered is read where it says a training, else refused by name."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from manifest_samples import problems, read, refusal

from trainyard.domain.training import Framework, Resources

KEYS = {"endpoint_url": "https://s3.example.com", "access_key_id": "AKIA1", "secret_access_key": "sEcReT/1"}
V3: dict[str, Any] = {
    "model_definition": {
        "name": "mnist",
        "framework": {"name": "tensorflow", "version": "1.5", "runtimes": [{"name": "python", "version": "3.5"}]},
        "definition_href": "https://ml.example.com/v3/ml_assets/training_definitions/1/versions/2/content",
        "execution": {"command": "python3 train.py", "compute_configuration": {"name": "k80"}},
    },
    "training_data_reference": {"connection": KEYS, "location": {"bucket": "mnist-data"}, "type": "s3"},
    "training_results_reference": {"connection": KEYS, "location": {"bucket": "mnist-models"}, "type": "s3"},
}
V4: dict[str, Any] = {
    "name": "mnist",
    "space_id": "b8e1f1c7",
    "model_definition": {
        "id": "6e973044",
        "command": "python3 train.py",
        "hardware_spec": {"name": "K80x2", "nodes": 1},
        "software_spec": {"name": "tensorflow_1.15-py3.6"},
    },
    "training_data_references": [
        {"type": "s3", "connection": KEYS, "location": {"bucket": "mnist-data"}, "schema": {"id": "1", "fields": []}}
    ],
    "results_reference": {"type": "s3", "connection": KEYS, "location": {"bucket": "mnist-models"}},
}


def answer(entity: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"guid": "x"}, "entity": {**entity, "status": {"state": "completed"}}}


def text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1)


def without(data: dict[str, Any], *path: str) -> dict[str, Any]:
    changed = deepcopy(data)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed


@pytest.mark.parametrize("data", [V3, answer(V3), {**answer(V3), "status": {}}])
def test_a_body_of_the_v3_interface_and_an_answer_of_it_are_read(data):
    found = read(text(data)).submission
    spec = found.spec
    assert (spec.name, spec.framework, spec.command) == (
        "mnist",
        Framework("tensorflow", "1.5-py3"),
        "python3 train.py",
    )
    assert (spec.data.bucket, spec.results.bucket) == ("mnist-data", "mnist-models")
    assert (found.data_credentials.user, found.results_credentials.secret) == ("AKIA1", "sEcReT/1")
    assert any("definition_href is not read" in warning for warning in found.warnings)
    assert any("answer" in warning for warning in found.warnings) == ("entity" in data)


@pytest.mark.parametrize("data", [V4, answer(V4)])
def test_a_training_of_the_v4_interface_is_read(data):
    found = read(text(data)).submission
    spec = found.spec
    assert (spec.name, spec.framework) == ("mnist", Framework("tensorflow", "1.15-py3"))
    assert (spec.command, spec.resources) == ("python3 train.py", Resources(size="k80x2"))
    assert (spec.data.bucket, spec.results.bucket) == ("mnist-data", "mnist-models")
    noted = [warning.partition(": ")[2].partition(" is not")[0] for warning in found.warnings]
    assert {"id", "schema", "space_id"} <= set(noted)


def test_what_is_kept_is_the_manifest_without_secrets():
    kept = read(text(V4)).masked
    assert "training_data_reference:" in kept
    assert "AKIA1" not in kept
    assert read(kept.replace("****", "x1y2")).submission.spec == read(text(V4)).submission.spec


def test_a_problem_stands_at_the_line_of_the_file():
    lines = text(V4).splitlines()
    (problem,) = refusal(text(V4).replace("tensorflow_1.15-py3.6", "tensorflow_9.99-py3.6")).problems
    assert "tensorflow_1.15" in lines[problem.line - 1]
    (problem,) = refusal(text(without(V3, "training_data_reference", "location"))).problems
    assert problem.path == "training_data_reference.source"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (without(V4, "model_definition", "software_spec"), "v4"),
        ({**V4, "pipeline": {"id": "1"}}, "v4"),
        ({**V4, "model_definition": {**V4["model_definition"], "software_spec": {"id": "1"}}}, "v4"),
        ({**V4, "model_definition": {**V4["model_definition"], "software_spec": {"name": "runtime-22.1-py3.9"}}}, "v4"),
        (answer({"deployments": {}}), "an answer of the service"),
        (answer({"model_definition": {}}), "an answer of the service"),
    ],
)
def test_what_says_no_training_is_refused_in_one_sentence_with_what_to_write(data, words):
    (problem,) = refusal(text(data)).problems
    assert words in problem.message
    assert problem.hint


def test_location_beside_source_is_a_fault():
    both = deepcopy(V3)
    both["training_data_reference"]["source"] = {"bucket": "other"}
    assert "training_data_reference.location" in problems(text(both))
