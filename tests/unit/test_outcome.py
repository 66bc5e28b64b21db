"""How a run ended, as one value that travels as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.domain.outcome import MAX_TEXT, Outcome
from trainyard.domain.states import State
from trainyard.errors import CODES, Fault, Problem, TrainyardError


def test_a_run_without_a_code_has_completed_and_is_nobodys_fault():
    outcome = Outcome()
    assert (outcome.state, outcome.fault, outcome.retried) == (State.COMPLETED, None, False)


def test_a_canceled_run_is_canceled_and_no_error():
    assert Outcome("C204").state is State.CANCELED


@pytest.mark.parametrize("code", sorted(CODES.keys() - {"C204"}))
def test_every_other_code_is_an_error_whose_fault_and_retries_the_table_tells(code):
    outcome = Outcome(code)
    assert outcome.state is State.ERROR
    assert outcome.fault is CODES[code].fault
    assert outcome.retried is CODES[code].retried


def test_an_outcome_comes_back_from_json_as_it_was():
    outcome = Outcome("C201", "the program failed", "Read its log.", 3, 12.5, 1.0, 2.0)
    data = json.loads(json.dumps(outcome.as_dict()))
    assert data["fault"] == Fault.CLIENT
    assert Outcome.from_dict(data) == outcome


def test_keys_of_another_version_are_dropped_and_missing_ones_have_defaults():
    assert Outcome.from_dict({"code": "C201", "mood": "bad"}) == Outcome("C201")
    assert Outcome.from_dict({}) == Outcome()


@pytest.mark.parametrize(
    "data", [None, "text", ["code", "C201"], 7, True, 1e308, float("nan"), b"\xff", [["code", "C201"]]]
)
def test_what_is_no_outcome_at_all_is_an_empty_one(data):
    assert Outcome.from_dict(data) == Outcome()


_NO_AMOUNTS = ["9", [], {}, None, True, -1, -0.5, 1e308, 10**400, float("nan"), float("inf"), -float("inf")]
_HOSTILE = {
    "code": ["C999", "", None, 7, True, ["C201"], {}, "c201", "C201 "],
    "message": [None, 7, True, ["text"], {}],
    "hint": [None, 7, True, ["text"], {}],
    "exit_code": ["3", True, 3.0, [], {}, 2**31, -(2**31), 10**400, float("nan")],
    "gpu_seconds": _NO_AMOUNTS,
    "started_at": [value for value in _NO_AMOUNTS if value is not None],
    "finished_at": [value for value in _NO_AMOUNTS if value is not None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in _HOSTILE.items() for value in values])
def test_a_value_that_no_outcome_can_have_is_dropped_and_the_others_stay(name, value):
    whole = Outcome("C201", "the program failed", "Read its log.", 3, 12.5, 1.0, 2.0)
    found = Outcome.from_dict({**whole.as_dict(), name: value})
    assert found == replace(whole, **{name: getattr(Outcome(), name)})
    json.dumps(found.as_dict(), allow_nan=False)
    assert found.state is (State.COMPLETED if name == "code" else State.ERROR)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(_SCALARS | st.lists(_SCALARS))
def test_whatever_somebody_wrote_makes_an_outcome_that_can_be_shown_and_added_up(value):
    for name in _HOSTILE:
        found = Outcome.from_dict({name: value})
        json.dumps(found.as_dict(), allow_nan=False)
        assert isinstance(found.message + found.hint, str)
        assert 0 <= found.gpu_seconds < 1e12


def test_an_outcome_that_an_earlier_version_wrote_keeps_its_hint():
    written = {"code": "C201", "message": "the program failed", "cure": "Read its log.", "exit_code": 3}
    assert Outcome.from_dict(written) == Outcome("C201", "the program failed", "Read its log.", 3)


def test_a_long_reason_is_cut():
    outcome = Outcome.of(TrainyardError("C103", "m" * 10**6, "c" * 10**6))
    reported = outcome.as_dict()
    assert (len(reported["message"]), len(reported["hint"])) == (MAX_TEXT, MAX_TEXT)


def test_an_error_becomes_an_outcome_with_its_problems_in_the_message():
    problems = [Problem("no such bucket.", "Name another.", "source.bucket"), Problem("empty.", "Fill it.")]
    outcome = Outcome.of(TrainyardError("C103", "the stores are not ready", "Fix it.", problems))
    assert outcome.code == "C103"
    assert outcome.message == (
        "the stores are not ready: source.bucket: no such bucket. Name another.; empty. Fill it."
    )
    assert outcome.hint == "Fix it."


def test_an_error_without_problems_keeps_its_sentence():
    assert Outcome.of(TrainyardError("S302", "it broke", "Wait.")) == Outcome("S302", "it broke", "Wait.")
