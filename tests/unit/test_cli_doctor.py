"""`trainyard doctor`: lines as they come, exit codes, and a service that does not answer."""

from __future__ import annotations

import json

pytest_plugins = ["cli_front_door"]

WELL = {"check": "pools", "ok": True, "state": "ok", "message": "4 pools", "hint": "", "cure": ""}
ILL = {
    "check": "gpus",
    "ok": False,
    "state": "wrong",
    "message": "too few\x1b[2J",
    "hint": "Add nodes.",
    "cure": "Add nodes.",
}


def _answer_with(front_door, *lines):
    from cli_front_door import Answer

    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    front_door.force("POST", "/v3/doctor", Answer(200, body, "application/x-ndjson"))


def test_all_well_is_0(cli, front_door):
    _answer_with(front_door, WELL, {"done": True})
    done = cli("doctor")
    assert (done.code, done.out) == (0, "pools          ok     4 pools\n")


def test_something_wrong_is_1_and_its_hint_stands_below_it(cli, front_door):
    _answer_with(front_door, WELL, ILL, {"done": True})
    done = cli("doctor")
    assert done.code == 1
    assert done.out.splitlines()[1:] == [
        "gpus           wrong  too few\\x1b[2J",
        "                      -> Add nodes.",
    ]


def test_json_is_one_document(cli, front_door):
    _answer_with(front_door, WELL, ILL, {"done": True})
    done = cli("doctor", "-o", "json")
    assert (done.code, done.data) == (1, {"ok": False, "findings": [WELL, ILL]})


def test_a_service_that_does_not_answer_is_the_first_line_and_tells_the_way_without_it(cli):
    done = cli("doctor", "--url", "http://127.0.0.1:9")
    assert done.code == 1
    assert done.out.startswith("api-server     wrong  no service answers at http://127.0.0.1:9")
    assert "python -m trainyard.doctor.report" in done.out
    assert cli("doctor", "--url", "http://127.0.0.1:9", "-o", "json").data["findings"][0]["check"] == "api-server"


def test_a_service_that_breaks_off_is_not_well(cli, front_door):
    _answer_with(front_door, WELL)
    done = cli("doctor")
    assert done.code == 1
    assert "broke off" in done.out


def test_a_member_is_refused(cli, front_door):
    from cli_front_door import refusal

    front_door.force("POST", "/v3/doctor", refusal(403, "C106", "only an admin looks after the service"))
    done = cli("doctor")
    assert done.code == 1
    assert "only an admin" in done.err


def test_wrong_usage_is_2(cli, front_door):
    for words in (("--wait", "soon"), ("--wait", "0"), ("--wait", "241"), ("--store-connection", "x"), ("--what",)):
        assert cli("doctor", *words).code == 2
    assert front_door.paths("POST") == []
