"""Notifications of real runs, at a real receiver: all that people asked for, once it is fixed, whatever dies."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from webhookreceiver import Receiver, receiving
from yard import Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

LIMIT_SECONDS = 120
QUICK = "print('loss: 0.25', flush=True)\n"


@pytest.fixture(scope="module")
def receiver(yard: Yard) -> Iterator[Receiver]:
    with receiving(yard.hook_port) as there:
        yield there


def _notified(yard: Yard, entries: list[Any], program: str = QUICK) -> str:
    def change(text: str) -> str:
        found = {**yaml.safe_load(text), "notify": entries, "metrics": {"loss": "loss: ([0-9.]+)"}}
        found["model_definition"]["name"] = "<!channel> digits"
        return yaml.safe_dump(found)

    return yard.submit("fails-with-3", change=change, program=program)


def _arrived(receiver: Receiver, path: str, model_id: str, event: str = "ended") -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        bodies = [json.loads(body) for body in receiver.bodies(path)]
        return [body for body in bodies if (body["model_id"], body["event"]) == (model_id, event)]

    assert wait_for(lambda: bool(found()), LIMIT_SECONDS), receiver.received
    return found()[0]


def test_whoever_asked_hears_when_a_run_starts_and_how_it_ended(yard: Yard, receiver: Receiver) -> None:
    secret = "a secret of sixteen or more"
    everything = {"to": receiver.url("/signed"), "on": ["started", "ended"], "secret": secret}
    failures = {"to": receiver.url("/failures"), "on": ["failed"]}
    model_id = _notified(yard, [everything, failures])
    started, ended = (_arrived(receiver, "/signed", model_id, event) for event in ("started", "ended"))
    assert started["page"] == ended["page"]
    assert ended["page"].endswith(f"/trainyard/runs/{model_id}")
    assert (ended["state"], ended["metrics"], ended["owner"]) == ("completed", {"loss": 0.25}, "admin")
    assert ended["text"].startswith("‹!channel› digits has completed\n")
    headers, body = next((headers, body) for path, headers, body in receiver.received if path == "/signed")
    expected = hmac.new(secret.encode(), f"{headers['Trainyard-Timestamp']}.".encode() + body, hashlib.sha256)
    assert headers["Trainyard-Signature"] == f"v1={expected.hexdigest()}"
    broken = _notified(yard, [failures], "raise SystemExit(3)\n")
    assert _arrived(receiver, "/failures", broken, "failed")["code"] == "C201"
    assert len(receiver.bodies("/failures")) == 1


def test_what_failed_arrives_after_a_kill_of_the_triggerer_and_a_slow_one_holds_nobody_up(
    yard: Yard, receiver: Receiver
) -> None:
    receiver.answers |= {"/broken": 503, "/slow": None}
    model_id = _notified(yard, [receiver.url(f"/{name}") for name in ("slow", "broken", "fine")])
    _arrived(receiver, "/fine", model_id)
    _arrived(receiver, "/broken", model_id)

    def failing() -> list[dict[str, Any]]:
        undelivered = yard.service.addresses().as_data()["undelivered"]
        return [each for each in undelivered if each["model_id"] == model_id]

    assert wait_for(lambda: "it answers 503" in [each["failure"] for each in failing()], LIMIT_SECONDS), failing()
    before = len(receiver.bodies("/broken"))
    receiver.answers["/broken"] = 204
    yard.kill("triggerer")
    assert wait_for(lambda: len(receiver.bodies("/broken")) > before, LIMIT_SECONDS)
    assert wait_for(lambda: "it answers 503" not in [each["failure"] for each in failing()], LIMIT_SECONDS)
    receiver.answers["/slow"] = 204
    receiver.released.set()


def test_an_address_that_is_kept_is_tested_named_and_told_of_every_run(yard: Yard, receiver: Receiver) -> None:
    secret = yard.data("notify", "set", "hook", receiver.url("/kept"), "--every-run")["secret"]
    try:
        assert yard.data("notify", "test", "hook")["state"] == "arrived"
        _, headers, body = receiver.received[-1]
        expected = hmac.new(secret.encode(), f"{headers['Trainyard-Timestamp']}.".encode() + body, hashlib.sha256)
        assert headers["Trainyard-Signature"] == f"v1={expected.hexdigest()}"
        model_id = _notified(yard, [{"to": "hook", "on": ["started"]}])
        _arrived(receiver, "/kept", model_id, "started")
    finally:
        yard.trainyard("notify", "remove", "hook")
    refused = yard.trainyard("notify", "test", "hook", fails=True)
    assert "no address of this name" in refused.stderr


def test_a_run_that_a_watchdog_stops_keeps_what_it_made_and_says_why(yard: Yard, receiver: Receiver) -> None:
    program = """
import os, pathlib, time
pathlib.Path(os.environ["RESULT_DIR"], "weights").write_text("as far as it got")
# A pod's times are whole seconds: what is shorter may count as none.
time.sleep(2)
print("loss: nan", flush=True)
time.sleep(600)
"""

    def change(text: str) -> str:
        recipient = {"to": receiver.url("/watched"), "on": ["failed"]}
        watched = {"watch": {"not_a_number": "stop"}, "metrics": {"loss": "loss: ([0-9.na]+)"}, "notify": [recipient]}
        return yaml.safe_dump({**yaml.safe_load(text), **watched})

    model_id = yard.submit("fails-with-3", change=change, program=program)
    run = yard.finished(model_id)
    assert (run["state"], run["outcome"]["code"]) == ("error", "C205")
    assert run["outcome"]["gpu_seconds"] > 0
    assert yard.stored(model_id, "weights") == "as far as it got"
    assert [alarm["reason"] for alarm in run["alarms"]] == ["the metric loss is no number any more"]
    assert _arrived(receiver, "/watched", model_id, "failed")["code"] == "C205"
