"""Hyperparameters of a manifest: read with their types, refused by their line, found by the program."""

from __future__ import annotations

from dataclasses import replace

import pytest
from manifest_samples import FFDL, MANIFEST, change, only_problem, problems, read
from pod_samples import SMALL, expanded

from trainyard.cluster.environment import environment
from trainyard.domain.hyperparameters import MAX, MAX_TEXT_LENGTH, as_text, fault_of_name
from trainyard.manifest.schema import schema_data

_PATH = "model_definition.execution.hyperparameters"


def _manifest(*lines: str) -> str:
    block = "".join(f"      {line}\n" for line in lines)
    return change(MANIFEST, "    resource: small\n", f"    resource: small\n    hyperparameters:\n{block}")


def _values(*lines: str):
    return read(_manifest(*lines)).submission.spec.hyperparameters


def test_values_keep_the_types_that_they_were_written_with():
    found = _values("lr: 1e-3", "epochs: 10", "momentum: 1.0", "nesterov: true", "optimizer: sgd", 'depth: "18"')
    wanted = {"lr": 0.001, "epochs": 10, "momentum": 1.0, "nesterov": True, "optimizer": "sgd", "depth": "18"}
    assert list(found.items()) == list(wanted.items())
    assert [type(value) for value in found.values()] == [type(value) for value in wanted.values()]


def test_ffdl_has_them_beside_its_command():
    text = change(FFDL, "  command: ", "  hyperparameters: {lr: 0.1, epochs: 2}\n  command: ")
    assert read(text).submission.spec.hyperparameters == {"lr": 0.1, "epochs": 2}


def test_a_manifest_without_them_has_none():
    assert read(MANIFEST).submission.spec.hyperparameters == {}


def test_a_name_without_a_value_counts_as_not_given():
    assert _values("lr: 0.1", "epochs:") == {"lr": 0.1}


@pytest.mark.parametrize("value", ["[1, 2]", "{a: 1}"])
def test_a_value_that_is_not_single_is_refused_with_its_line(value):
    problem = only_problem(_manifest("lr: 0.1", f"layers: {value}"))
    assert (problem.path, problem.line, problem.code) == (f"{_PATH}.layers", 15, "C101")


@pytest.mark.parametrize("name", ["1st", "learning-rate", "learning rate", "lern.rate", "größe", "x" * 101])
def test_a_name_that_no_variable_can_have_is_refused_with_its_line(name):
    (problem,) = problems(_manifest("lr: 0.1", f"{name}: 1")).values()
    assert (problem.line, problem.column) == (15, 7)
    assert "environment variable" in problem.message


@pytest.mark.parametrize(
    "name", ["size", "command", "DATA_DIR", "PATH", "PYTHONPATH", "LD_PRELOAD", "BASH_ENV", "USER"]
)
def test_a_name_that_means_something_else_is_refused(name):
    assert only_problem(_manifest(f"{name}: 1")).path == f"{_PATH}.{name}"


def test_every_variable_that_a_pod_sets_is_refused_as_a_name():
    names = [
        entry["name"] for run in (SMALL, replace(SMALL, plan=replace(SMALL.plan, gpus=0))) for entry in environment(run)
    ]
    assert [name for name in names if not fault_of_name(name)] == []


@pytest.mark.parametrize(
    "name", ["lr", "LR", "batch_size", "max_tokens", "n", "data_dir", "logs", "_seed", "Dropout2", "log"]
)
def test_ordinary_names_are_taken(name):
    assert fault_of_name(name) is None


def test_too_many_and_too_long_ones_are_refused():
    assert "over 100" in only_problem(_manifest(*(f"h{number}: 1" for number in range(MAX + 1)))).message
    assert "over 1000" in only_problem(_manifest(f"note: {'x' * (MAX_TEXT_LENGTH + 1)}")).message
    for name in ("manifest", "ffdl"):
        schema = schema_data(name)["$defs"]["hyperparameters"]
        assert (schema["maxProperties"], schema["additionalProperties"]["maxLength"]) == (MAX, MAX_TEXT_LENGTH)


def test_a_value_that_looks_like_a_secret_is_warned_of_and_not_shown():
    (warning,) = read(_manifest("max_tokens: 512", "api_key: hunter2")).submission.warnings
    assert warning.startswith("line 15: ")
    assert "hunter2" not in warning


def test_a_program_finds_them_in_its_environment_and_ours_win():
    values = {"lr": 0.001, "epochs": 10, "nesterov": False, "note": "a $(lr) $$ ü$ü", "DATA_DIR": "/elsewhere"}
    run = replace(SMALL, spec=replace(SMALL.spec, hyperparameters=values))
    found = {entry["name"]: expanded(entry["value"], {"lr": "wrong"}) for entry in environment(run)}
    assert [found[name] for name in ("lr", "epochs", "nesterov")] == ["0.001", "10", "false"]
    assert found["note"] == values["note"]
    assert found["DATA_DIR"] == "/job/data"


def test_values_are_written_as_a_manifest_has_them():
    assert [as_text(value) for value in (True, 3, 1.0, 1e-05, " x ")] == ["true", "3", "1.0", "1e-05", " x "]
