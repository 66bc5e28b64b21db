"""The audit log over HTTP: what members and the service do is recorded in files, and admins read it."""

from __future__ import annotations

import re

import pytest
from accountsyard import OTHER_RUN, QUOTAS, clients
from accountsyard import yard as yard  # a fixture
from frontdoorfakes import CANCEL_PATCH
from historyworld import world as world  # a fixture
from samples import MODEL_ID

pytestmark = pytest.mark.xdist_group("airflow")


@pytest.fixture
def log(yard, tmp_path, monkeypatch):
    """The yard with an audit log of its own, beginning now; returns what an admin reads of it."""
    monkeypatch.setenv("TRAINYARD_AUDIT_LOG", str(tmp_path / "audit"))
    client = clients()
    yard.ada, yard.root = client("ada"), client("root", "admin")

    def reading(**wanted):
        answer = yard.root.get("/audit", params=wanted)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return reading


def _seen(answer, *keys):
    return [tuple(event[key] for key in keys) for event in answer["resources"]]


def test_what_a_member_does_is_read_by_an_admin_with_where_it_came_from(yard, log):
    yard.ada.get(f"/models/{MODEL_ID}/logs")
    yard.ada.patch(f"/models/{MODEL_ID}", json=CANCEL_PATCH)
    yard.ada.delete(f"/models/{OTHER_RUN}")
    yard.ada.delete(f"/models/{MODEL_ID}")
    assert _seen(log(actor="ada"), "action", "run", "account", "result", "code", "remote") == [
        ("delete", MODEL_ID, "vision", "ok", "", "127.0.0.1"),
        ("delete", OTHER_RUN, "", "refused", "C107", "127.0.0.1"),
        ("cancel", MODEL_ID, "vision", "refused", "C108", "127.0.0.1"),
        ("log.read", MODEL_ID, "vision", "ok", "", "127.0.0.1"),
    ]
    assert _seen(log(action="delete", run=MODEL_ID), "actor") == [("ada",)]


@pytest.mark.parametrize(
    ("place", "action", "name"),
    [
        (f"models/{MODEL_ID}/results", "results.list", None),
        (f"models/{MODEL_ID}/results/model/a", "results.read", "model/a"),
        (f"models/{MODEL_ID}/metrics", "results.read", "metrics.jsonl"),
        (f"models/{MODEL_ID}/metrics?follow=true", "results.read", "metrics.jsonl"),
    ],
)
def test_whatever_opens_a_runs_bucket_for_a_member_is_recorded(yard, log, place, action, name):
    yard.ada.get(f"/{place}")
    (event,) = log(actor="ada")["resources"]
    assert (event["action"], event["run"], event["account"]) == (action, MODEL_ID, "vision")
    assert event["details"].get("name") == name


def test_members_do_not_read_it_and_who_tried_any_admins_route_is_in_it(yard, log):
    answers = [
        yard.ada.get("/audit"),
        yard.ada.post("/housekeeping", json={"dry_run": True}),
        yard.ada.post("/housekeeping/owners", json={"runs": []}),
        yard.ada.post("/schedules/due"),
        yard.ada.post(f"/schedules/{MODEL_ID}/looks", json={"due": 1.0}),
        yard.ada.post("/doctor", json={}),
    ]
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(403, "C106")}
    refused = _seen(log(result="refused", actor="ada"), "action", "code")
    actions = ["audit.read", "housekeeping", "owners.read", "schedule.start", "schedule.start", "doctor"]
    assert refused[::-1] == [(action, "C106") for action in actions]


def test_a_changed_quota_is_recorded_as_accounts_and_pools_before_and_after(yard, log, tmp_path):
    yard.ada.get("/models")
    (tmp_path / "quotas.yaml").write_text(QUOTAS.replace("gpus: 4, members: [ada]", "gpus: 16, members: [ada, eve]"))
    yard.ada.get("/models")
    (account,) = log(action="account.change")["resources"]
    assert (account["account"], account["details"]) == ("vision", {"members_added": "eve", "gpus": "4 -> 16"})
    resized = log(action="pool.resize")["resources"]
    assert resized[0]["details"] == {"pool": "gpus-vision", "before": 4, "after": 16}
    assert {event["actor"] for event in [account, *resized]} == {"trainyard"}


def test_pages_stay_where_they_are_while_events_are_recorded(yard, log):
    for model_id in ("training-000000001", "training-000000002", "training-000000003"):
        yard.ada.delete(f"/models/{model_id}")
    first = log(action="delete", limit=2)
    yard.ada.delete("/models/training-000000004")
    second = log(action="delete", limit=2, offset=2, until=first["until"])
    assert _seen(first, "run") == [("training-000000003",), ("training-000000002",)]
    assert (_seen(second, "run"), first["more"], second["more"]) == ([("training-000000001",)], True, False)


@pytest.mark.parametrize("wanted", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"since": "x"}, {"result": "odd"}])
def test_a_question_that_makes_no_sense_is_refused(yard, log, wanted):
    assert yard.root.get("/audit", params=wanted).status_code == 400


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_the_calendar_is_answered(yard, log, end):
    yard.ada.get(f"/models/{MODEL_ID}/logs")
    found = [_seen(log(actor="ada", **{name: end}), "action") for name in ("since", "until")]
    assert sorted(found) == [[], [("log.read",)]]


def test_a_request_goes_on_where_its_record_cannot_be_written_and_the_doctor_says_so(
    yard,
    tmp_path,
    monkeypatch,
):
    from trainyard.airflow.app import current_app
    from trainyard.doctor.checks import _audit

    (tmp_path / "audit").write_text("a file in the folder's place")
    monkeypatch.setenv("TRAINYARD_AUDIT_LOG", str(tmp_path / "audit"))
    assert clients()("ada").delete(f"/models/{MODEL_ID}").status_code == 204
    (found,) = _audit(current_app())
    assert (found.ok, found.message) == (False, f"{tmp_path}/audit cannot be written: File exists")
    (tmp_path / "audit").unlink()
    (found,) = _audit(current_app())
    assert not found.ok
    assert re.search(r"is written again; \d+ events before were lost: File exists", found.message)
