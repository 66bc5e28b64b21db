"""How a run ended, as one value that travels as JSON."""

from __future__ import annotations

import json

import pytest

from trainyard.domain.outcome import Outcome
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


def test_an_error_becomes_an_outcome_with_its_problems_in_the_message():
    problems = [Problem("no such bucket.", "Name another.", "source.bucket"), Problem("empty.", "Fill it.")]
    outcome = Outcome.of(TrainyardError("C103", "the stores are not ready", "Mend it.", problems))
    assert outcome.code == "C103"
    assert outcome.message == (
        "the stores are not ready: source.bucket: no such bucket. Name another.; empty. Fill it."
    )
    assert outcome.cure == "Mend it."


def test_an_error_without_problems_keeps_its_sentence():
    assert Outcome.of(TrainyardError("S302", "it broke", "Wait.")) == Outcome("S302", "it broke", "Wait.")
