"""`trainyard notify` against a front door: addresses are sent and never shown, a test says what became of it."""

from __future__ import annotations

import json

pytest_plugins = ["cli_front_door"]

SECRET = "T0kenThatNobodySees"
KEPT = {"name": "phone", "address": "https://x/****", "account": "", "on": ["failed"], "every_run": True}


def force(front_door, verb, place, status, body=None):
    from cli_front_door import Answer

    front_door.force(verb, place, Answer(status, body))


def test_an_address_from_stdin_is_kept_and_the_secret_of_its_webhooks_shown_once(cli, front_door):
    force(front_door, "PUT", "/v3/notify/phone", 200, {**KEPT, "secret": "made"})
    done = cli("notify", "set", "phone", "-", "--on", "failed", "--every-run", stdin=f"https://x/{SECRET}\n".encode())
    assert done.code == 0, done.err
    assert "signed with made" in done.out
    assert SECRET not in done.out + done.err


def test_a_refusal_says_why(cli, front_door):
    error = {
        "code": "C110",
        "fault": "client",
        "message": "the address has options after ?",
        "hint": "",
        "problems": [],
    }
    force(front_door, "PUT", "/v3/notify/phone", 400, {"error": error})
    done = cli("notify", "set", "phone", "slack://a?b=c")
    assert done.code == 1
    assert "options after" in done.err


def test_a_test_that_fails_ends_with_1_and_the_reason(cli, front_door):
    force(front_door, "POST", "/v3/notify/phone/test", 202, {"id": "5", "state": "waiting"})
    failing = {"id": "5", "state": "failing", "failure": "it answers 404"}
    force(front_door, "GET", "/v3/notify/deliveries/5", 200, failing)
    done = cli("notify", "test", "phone")
    assert done.code == 1
    assert "the test did not arrive: it answers 404" in done.err


def test_a_test_that_arrives_says_so(cli, front_door):
    force(front_door, "POST", "/v3/notify/phone/test", 202, {"id": "5", "state": "waiting"})
    force(front_door, "GET", "/v3/notify/deliveries/5", 200, {"id": "5", "state": "arrived"})
    done = cli("notify", "test", "phone", "-o", "json")
    assert json.loads(done.out)["state"] == "arrived"


def test_removing_and_trying_again(cli, front_door):
    force(front_door, "DELETE", "/v3/notify/phone", 204)
    assert cli("notify", "remove", "phone").code == 0
    force(front_door, "POST", "/v3/notify/retry", 200, {"notifications": 3})
    assert "3 notifications are tried again." in cli("notify", "retry").out
