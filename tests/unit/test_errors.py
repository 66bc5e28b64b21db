"""The error family: codes, problems and how both are shown."""

from __future__ import annotations

import json
import re

import pytest

from trainyard.errors import CODES, Fault, Problem, TrainyardError, hint_of


def test_a_code_says_whose_fault_it_is():
    assert CODES["C101"].fault is Fault.CLIENT
    assert CODES["S302"].fault is Fault.SERVICE


def test_only_faults_of_the_service_are_tried_again():
    retried = {code for code, row in CODES.items() if row.retried}
    assert retried
    assert all(code.startswith("S") for code in retried)


def test_every_code_is_a_letter_and_three_digits_with_a_title_and_an_http_error_status():
    for code, row in CODES.items():
        assert re.fullmatch(r"[CS]\d{3}", code)
        assert row.code == code
        assert row.title
        assert 400 <= row.status < 600


def test_a_service_fault_is_never_answered_as_the_clients():
    assert all((row.status >= 500) == (row.fault is Fault.SERVICE) for row in CODES.values())


def test_an_unknown_code_cannot_be_raised():
    with pytest.raises(KeyError):
        TrainyardError("C999", "no such thing")


def test_a_problem_reads_as_a_sentence_with_its_place_and_its_hint():
    problem = Problem("there is no size huge.", "Use small.", "execution.resource", line=7, column=3)
    assert str(problem) == "line 7, column 3: execution.resource: there is no size huge. Use small."


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("it is empty.", "Fill it in."), "it is empty. Fill it in."),
        (Problem("it is empty.", "Fill it in.", "name"), "name: it is empty. Fill it in."),
        (Problem("it is empty.", "", line=1, column=2), "line 1, column 2: it is empty."),
    ],
)
def test_a_problem_leaves_out_what_is_not_known(problem, text):
    assert str(problem) == text


def test_a_refusal_carries_all_problems_and_the_first_ones_code():
    problems = [Problem("one.", "Fix it.", code="C104"), Problem("two.", "Fix it.")]
    error = TrainyardError.refused(problems)
    assert (error.code.code, error.status, error.fault) == ("C104", 400, "client")
    assert error.problems == tuple(problems)
    assert error.message == "the submission has 2 problems"


def test_a_refusal_counts_one_problem_in_the_singular():
    assert TrainyardError.refused([Problem("one.", "Fix it.")]).message == "the submission has 1 problem"


def test_an_error_is_json_data():
    error = TrainyardError("C101", "it cannot be read", "Fix it.", [Problem("no name.", "Add it.", "name", 1, 2, "x")])
    assert json.loads(json.dumps(error.as_dict())) == {
        "code": "C101",
        "fault": "client",
        "message": "it cannot be read",
        "hint": "Fix it.",
        "cure": "Fix it.",
        "problems": [
            {
                "message": "no name.",
                "hint": "Add it.",
                "cure": "Add it.",
                "path": "name",
                "line": 1,
                "column": 2,
                "seen": "x",
                "code": "C101",
                "file": "",
            }
        ],
    }


@pytest.mark.parametrize(
    ("data", "hint"),
    [({"hint": "new"}, "new"), ({"cure": "old"}, "old"), ({"hint": "", "cure": "old"}, ""), ({}, None)],
)
def test_a_hint_is_read_under_its_name_of_before_0_2_too(data, hint):
    assert hint_of(data) == hint
