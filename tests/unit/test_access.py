"""What a member may change through Airflow's API, as a rule over requests."""

from __future__ import annotations

import pytest
from samples import MODEL_ID

from trainyard.airflow.access import Permit, check_run_id, member_permit
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError

_DAG = f"/api/v2/dags/{MODEL_ID}"
_RUN = f"{_DAG}/dagRuns/training-Xz81mQ0aB"
_KEY = RunKey(MODEL_ID, "training-Xz81mQ0aB")


def _code(method, path, body=None):
    with pytest.raises(TrainyardError) as refused:
        member_permit(method, path, body or {})
    assert refused.value.hint
    return refused.value.code.code


@pytest.mark.parametrize("path", [_DAG, _RUN, "/api/v2/dags", "/ui/dags", "/"])
def test_reading_is_left_to_airflows_own_checks(path):
    assert member_permit("GET", path, {}) == Permit()


def test_a_request_that_asks_the_database_for_as_long_as_a_run_goes_is_refused():
    assert _code("GET", f"{_RUN}/wait") == "C106"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{_DAG}/dagRuns"),
        ("POST", f"{_DAG}/favorite"),
        ("POST", f"{_DAG}/dagRuns/list"),
        ("POST", "/ui/auth/token"),
        ("PATCH", _DAG),
    ],
)
def test_what_is_listed_is_permitted(method, path):
    assert member_permit(method, path, {}) == Permit()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/v2/dags"),
        ("DELETE", _DAG),
        ("DELETE", _RUN),
        ("PATCH", f"{_DAG}/dagRuns"),
        ("POST", f"{_DAG}/clearDagRuns"),
        ("POST", f"{_RUN}/taskInstances/train/xcomEntries"),
        ("PATCH", f"{_RUN}/taskInstances/train/xcomEntries/outcome"),
        ("PATCH", f"{_RUN}/taskInstances/train/dry_run"),
        ("PATCH", f"{_RUN}/taskInstances/train/-1"),
        ("PUT", f"{_RUN}/taskInstances/train/state-store/x"),
        ("POST", "/api/v2/backfills"),
        ("POST", "/api/v2/assets/events"),
        ("PATCH", "/api/v2/connections"),
        ("POST", "/something/a/later/version/adds"),
        ("TRACE", _DAG),
        ("POST", f"{_DAG}/dagRuns/"),
        ("POST", f"{_DAG}/../{MODEL_ID}/dagRuns/x/y"),
    ],
)
def test_all_else_is_refused_whatever_it_is(method, path):
    assert _code(method, path) == "C106"


@pytest.mark.parametrize("path", [_RUN, f"{_RUN}/taskInstances/train"])
def test_of_a_run_and_its_steps_only_the_note_is_changed(path):
    assert member_permit("PATCH", path, {"note": "the best one"}) == Permit()
    for body in ({"state": "failed"}, {"new_state": "success"}, {"note": "x", "state": "success"}):
        assert _code("PATCH", path, body) == "C106"


def test_clearing_asks_for_a_run_that_has_ended():
    assert member_permit("POST", f"{_RUN}/clear", {"dry_run": False}) == Permit(_KEY)
    body = {"dry_run": False, "dag_run_id": _KEY.model_id}
    assert member_permit("POST", f"{_DAG}/clearTaskInstances", body) == Permit(_KEY)


@pytest.mark.parametrize("dry", [False, "false", "no", "0", 0, "off", None, 1])
def test_only_what_airflow_takes_for_a_dry_run_is_taken_for_one(dry):
    assert member_permit("POST", f"{_RUN}/clear", {"dry_run": dry}) == Permit(_KEY)


@pytest.mark.parametrize("body", [{}, {"dry_run": True}])
def test_a_dry_run_of_clearing_is_permitted_at_any_time(body):
    assert member_permit("POST", f"{_RUN}/clear", body) == Permit()
    assert member_permit("POST", f"{_DAG}/clearTaskInstances", body) == Permit()


@pytest.mark.parametrize("more", [{"include_past": True}, {"include_future": True}, {"dag_run_id": None}, {}])
def test_steps_are_cleared_of_one_run_at_a_time(more):
    body = {"dry_run": False, **({"dag_run_id": _KEY.model_id} if "dag_run_id" not in more and more else {}), **more}
    assert _code("POST", f"{_DAG}/clearTaskInstances", body) == "C106"


def test_no_run_of_a_training_gets_an_id_from_a_request():
    with pytest.raises(TrainyardError) as refused:
        check_run_id("POST", f"{_DAG}/dagRuns", {"dag_run_id": "training-Xz81mQ0aB"})
    assert refused.value.code.code == "C110"
    check_run_id("POST", f"{_DAG}/dagRuns", {"dag_run_id": None, "conf": {}})
    check_run_id("POST", "/api/v2/dags/housekeeping/dagRuns", {"dag_run_id": "by-hand"})
