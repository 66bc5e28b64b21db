"""What a triggered run changes of its training, and what it may not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from samples import LIMITS, SPEC, training

from trainyard.core.catalogue import Training
from trainyard.domain.overrides import MAX_COMMAND_LENGTH, overridden, overrides
from trainyard.domain.plan import make_plan, sizes_for
from trainyard.domain.training import Resources
from trainyard.errors import TrainyardError
from trainyard.manifest.schema import schema_data

VALUES = {"lr": 0.1, "epochs": 3, "nesterov": True, "note": "plain"}
TRAINING = training(hyperparameters=VALUES, sizes=sizes_for(LIMITS.accounts["vision"], LIMITS))
SPECIFIED = TRAINING.spec
FFDL = training(resources=Resources(gpus=1, cpu_millis=500, memory=2**30), sizes=TRAINING.sizes)


def _refusal(values, of: Training = TRAINING) -> TrainyardError:
    with pytest.raises(TrainyardError) as refusal:
        of.of_run(values)
    return refusal.value


def test_a_run_without_values_of_its_own_is_the_training():
    assert TRAINING.of_run(None) == TRAINING.of_run({}) == TRAINING
    assert overrides(SPECIFIED, {}) == {}


def test_another_size_is_planned_as_if_the_manifest_had_asked_for_it():
    run = TRAINING.of_run({"size": "large"})
    asked = replace(SPECIFIED, resources=Resources(size="large"))
    assert run.spec == asked
    assert run.plan == make_plan(asked, LIMITS.accounts["vision"], LIMITS)


def test_a_size_without_gpus_moves_the_run_to_the_cpu_pool():
    assert (TRAINING.of_run({"size": "tiny"}).plan.pool, TRAINING.of_run({"size": "tiny"}).plan.gpus) == ("cpu", 0)


def test_command_and_hyperparameters_take_the_place_of_the_manifests():
    run = TRAINING.of_run({"command": "python3 other.py ${lr}", "lr": 0.5, "nesterov": False, "note": ""}).spec
    assert run.command == "python3 other.py ${lr}"
    assert run.hyperparameters == {"lr": 0.5, "epochs": 3, "nesterov": False, "note": ""}
    assert list(run.hyperparameters) == list(VALUES)


def test_only_what_differs_is_an_override():
    """The form sends all its fields, whether they were changed or not."""
    sent = {"size": "small", "command": SPEC.command, **VALUES, "epochs": 4}
    assert overrides(SPECIFIED, sent) == {"epochs": 4}


def test_a_number_keeps_the_type_of_the_manifests():
    found = overrides(SPECIFIED, {"lr": 1, "epochs": 7.0})
    assert [(value, type(value)) for value in found.values()] == [(1.0, float), (7, int)]


def test_no_value_stands_for_the_manifests():
    assert TRAINING.of_run({"size": None, "command": None, "lr": None}) == TRAINING


def test_explicit_amounts_stay_until_a_size_is_chosen():
    assert FFDL.of_run({"size": None}).plan.memory == 2**30
    assert FFDL.of_run({"size": "large"}).plan.gpus == 4
    assert overrides(FFDL.spec, {"size": "large"}) == {"size": "large"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "0.1"), ("lr", True), ("lr", float("nan")), ("lr", float("inf")), ("lr", 10**400), ("lr", [1]),
        ("epochs", 2.5), ("epochs", "3"), ("epochs", False), ("epochs", float("inf")), ("epochs", {}),
        ("nesterov", 1), ("nesterov", "true"),
        ("note", 1), ("note", "\0"), ("note", "\ud800"), ("note", "x" * 1001),
        ("command", ""), ("command", " \n"), ("command", 3), ("command", "x" * 100_001),
        ("size", "gigantic"), ("size", 1),
    ],
    ids=lambda value: str(value)[:20].encode(errors="replace").decode(),
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(name, value):
    error = _refusal({name: value, "epochs" if name != "epochs" else "lr": 9})
    assert error.code.code == "C110"
    (problem,) = error.problems
    assert name in problem.message
    assert problem.hint


def test_every_wrong_value_is_told_at_once():
    assert len(_refusal({"lr": "high", "epochs": 0.5, "learning_rate": 1}).problems) == 3


def test_a_name_that_the_form_does_not_have_is_refused_with_those_it_has():
    (problem,) = _refusal({"learning_rate": 1}).problems
    assert problem.hint == "Use one of size, command, lr, epochs, nesterov, note."


def test_a_size_that_the_account_does_not_own_is_refused():
    small = training(account="speech", sizes=sizes_for(LIMITS.accounts["speech"], LIMITS))
    assert "large" in _refusal({"size": "large"}, small).problems[0].message


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["size", "command", *VALUES, "other"]), _ANYTHING, max_size=4))
@example({"size": ["small"]})
@example({"size": {}, "command": []})
def test_whatever_is_sent_is_applied_or_refused_and_listing_it_never_fails(values):
    found = overrides(SPECIFIED, values)
    refused = None
    try:
        spec, _ = overridden(SPECIFIED, TRAINING.plan, TRAINING.sizes, values)
    except TrainyardError as error:
        refused = error.code.code
    if refused:
        assert refused == "C110"
        return
    assert {**VALUES, **found}.items() >= spec.hyperparameters.items()
    assert {name: type(value) for name, value in spec.hyperparameters.items()} == {
        name: type(value) for name, value in VALUES.items()
    }
    json.dumps(spec.as_dict(), allow_nan=False)


def test_a_training_comes_back_from_the_catalogue_with_its_hyperparameters_and_sizes():
    assert Training.from_dict(json.loads(json.dumps(TRAINING.as_dict()))) == TRAINING


def test_a_record_from_before_there_were_hyperparameters_still_runs():
    record = TRAINING.as_dict()
    del record["sizes"], record["spec"]["hyperparameters"]
    old = Training.from_dict(record)
    assert old.of_run({"size": "small"}).plan == TRAINING.plan


@pytest.mark.parametrize("schema", ["manifest", "ffdl"])
def test_a_command_may_be_as_long_in_the_form_as_in_a_manifest(schema):
    part = schema_data(schema)["$defs"]["execution" if schema == "manifest" else "framework"]
    assert part["properties"]["command"]["maxLength"] == MAX_COMMAND_LENGTH
