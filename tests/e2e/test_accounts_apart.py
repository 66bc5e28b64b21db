"""What a member of one account tries against another's runs, its bill and the service, through Airflow's own API."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.airflow.access import READING
from trainyard.domain.names import is_model_id
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

# Trains until it is allowed to end, so that a test can look at it meanwhile, and writes down what its data is.
HELD = """
import json, os, pathlib, time
result = pathlib.Path(os.environ["RESULT_DIR"])
(result / "data.json").write_text(json.dumps(sorted(os.listdir(os.environ["DATA_DIR"]))))
while not (result / "end").exists():
    time.sleep(0.1)
"""
# Goes on at SIGTERM until it is killed, and says how long it has been there.
STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
result = pathlib.Path(os.environ["RESULT_DIR"])
(result / "started").write_text(str(time.time()))
while True:
    (result / "new").write_text(str(time.time()))
    (result / "new").rename(result / "alive")
    time.sleep(0.05)
"""
_BAD_VALUES: tuple[Any, ...] = ("text", ["a"], 1e308, {"gpu_seconds": 1e300, "code": None}, {"gpu_seconds": "many"})
# Answers that tell nothing of any training: the version, the health of the parts, who is asking.
_PUBLIC = ("/api/v2/version", "/api/v2/monitor/health", "/api/v2/auth/login", "/api/v2/auth/logout")

# Makes whoever asks another token, and concerns nobody's training.
_OWN_TOKEN = "/ui/auth/token"


def _medium(manifest: str) -> str:
    return manifest.replace("resource: small", "resource: medium")


def _end(yard: Yard, model_id: str) -> None:
    with suppress(FileNotFoundError):  # it has ended
        (yard.folder / "workspace" / "runs" / model_id / model_id / "result" / "end").touch()


def _trains(run: dict[str, Any]) -> bool:
    return run["phase"] == "training"


@pytest.fixture(scope="module")
def theirs(yard: Yard) -> Iterator[str]:
    """Train for grace, of the account speech, until this module is done."""
    model_id = yard.submit_as("grace", "speech", HELD)
    yard.until(model_id, _trains)
    yield model_id
    _end(yard, model_id)
    assert yard.finished(model_id)["state"] == "completed"


@pytest.fixture(scope="module")
def mine(yard: Yard) -> str:
    """Train for ada, of the account vision, and let it end."""
    model_id = yard.submit_as("ada", "vision", "import time; time.sleep(1)")
    yard.finished(model_id)
    return model_id


@pytest.fixture(scope="module")
def running(yard: Yard) -> Iterator[str]:
    """Train for ada with the account's whole quota, until this module is done."""
    model_id = yard.submit_as("ada", "vision", HELD, _medium)
    yard.until(model_id, _trains)
    yield model_id
    _end(yard, model_id)
    yard.finished(model_id)


def _run(model_id: str, run_id: str | None = None) -> str:
    return f"/api/v2/dags/{model_id}/dagRuns/{run_id or model_id}"


class TestRunIds:
    @pytest.mark.parametrize(("user", "status"), [("ada", 400), ("admin", 400), (None, 401)])
    def test_nobody_starts_a_run_with_another_runs_id(self, yard: Yard, mine: str, theirs: str, user, status) -> None:
        form = {"logical_date": None, "dag_run_id": theirs}
        answer = yard.ask(user, "POST", f"/api/v2/dags/{mine}/dagRuns", json=form)
        assert answer.status_code == status, answer.text
        assert yard.ask("grace", "GET", f"/v3/models/{theirs}").json()["training_id"] == theirs

    def test_a_member_starts_a_run_of_the_own_training_whose_id_the_service_makes(self, yard: Yard, mine: str) -> None:
        answer = yard.ask("ada", "POST", f"/api/v2/dags/{mine}/dagRuns", json={"logical_date": None})
        assert answer.status_code == 200, answer.text
        model_id = answer.json()["dag_run_id"]
        assert is_model_id(model_id)
        assert yard.finished(model_id)["training_id"] == mine


class TestXComs:
    @pytest.mark.parametrize(("user", "status"), [("ada", 403), (None, 401)])
    def test_what_steps_leave_is_not_for_members_to_write(self, yard: Yard, mine: str, user, status) -> None:
        train = f"{_run(mine)}/taskInstances/train/xcomEntries"
        wrote = yard.ask(user, "POST", train, json={"key": "dataset", "value": "."}).status_code
        changed = yard.ask(user, "PATCH", f"{train}/outcome", json={"value": "{}"}).status_code
        removed = yard.ask(user, "DELETE", f"{train}/outcome").status_code
        assert (wrote, changed, removed) == (status, status, status)

    def test_what_a_pod_mounts_comes_from_no_xcom(self, yard: Yard, running: str) -> None:
        waiting = yard.submit_as("ada", "vision", HELD, _medium)
        yard.until(waiting, lambda run: run["phase"] == "waiting-for-gpu")
        entry = f"{_run(waiting)}/taskInstances/stage/xcomEntries"
        assert yard.ask("admin", "POST", entry, json={"key": "dataset", "value": "."}).status_code == 201
        _end(yard, running)
        yard.until(waiting, _trains)
        volumes = yard.kubectl("get", "pods", "-l", f"trainyard/model-id={waiting}", "-o", "jsonpath={..subPath}")
        assert "." not in volumes.split()
        _end(yard, waiting)
        assert yard.finished(waiting)["state"] == "completed"
        assert "runs" not in yard.stored(waiting, "data.json")

    @pytest.mark.parametrize("value", _BAD_VALUES, ids=str)
    def test_an_outcome_that_cannot_be_read_fails_no_answer_and_bills_no_time_beyond_the_runs_own(
        self, yard: Yard, mine: str, value: Any
    ) -> None:
        before = _hours(yard, "vision")
        entry = f"{_run(mine)}/taskInstances/train/xcomEntries/outcome"
        assert yard.ask("admin", "PATCH", entry, json={"value": value}).status_code == 200
        asked = ("/v3/quota", "/v3/models?limit=1000", f"/v3/models/{mine}")
        assert [yard.ask("admin", "GET", place).status_code for place in asked] == [200, 200, 200]
        dry = yard.ask("admin", "POST", "/v3/housekeeping", json={"dry_run": True})
        assert dry.status_code == 200, dry.text
        assert _hours(yard, "vision") <= before + 0.1
        assert yard.ask("ada", "GET", f"/v3/models/{mine}").json()["state"] == "completed"


def _hours(yard: Yard, account: str) -> float:
    rows = yard.ask("admin", "GET", "/v3/quota").json()["resources"]
    hours: float = next(row["gpu_hours"] for row in rows if row["account"] == account)
    return hours


class TestStates:
    @pytest.mark.parametrize(("user", "status"), [("ada", 403), (None, 401)])
    def test_the_states_of_a_run_are_not_for_members_to_set(self, yard: Yard, theirs: str, mine: str, user, status):
        for model_id in (mine, theirs):
            step = f"{_run(model_id)}/taskInstances/train"
            answers = [
                yard.ask(user, "PATCH", step, json={"new_state": "success"}),
                yard.ask(user, "PATCH", f"{_run(model_id)}/taskInstances", json={"actions": []}),
                yard.ask(user, "PATCH", _run(model_id), json={"state": "failed"}),
                yard.ask(user, "DELETE", _run(model_id)),
                yard.ask(user, "DELETE", step),
                yard.ask(user, "DELETE", f"/api/v2/dags/{model_id}"),
            ]
            assert [answer.status_code for answer in answers] == [status] * len(answers)

    def test_a_run_that_is_going_is_not_cleared_by_a_member(self, yard: Yard, theirs: str) -> None:
        for place, body in (
            (f"/api/v2/dags/{theirs}/clearTaskInstances", {"dry_run": False, "dag_run_id": theirs}),
            (f"{_run(theirs)}/clear", {"dry_run": False}),
        ):
            assert yard.ask("grace", "POST", place, json=body).status_code == 409
            assert yard.ask("ada", "POST", place, json=body).status_code == 403
        several = {"dry_run": False, "dag_run_id": theirs, "include_future": True}
        assert yard.ask("grace", "POST", f"/api/v2/dags/{theirs}/clearTaskInstances", json=several).status_code == 403

    def test_a_program_that_outlives_its_marked_step_keeps_its_share_of_the_quota(self, yard: Yard) -> None:
        first = yard.submit_as("ada", "vision", STUBBORN, _medium)
        yard.until(first, _trains)
        alive = yard.folder / "workspace" / "runs" / first / first / "result" / "alive"
        assert wait_for(alive.exists, RUN_LIMIT_SECONDS)
        for step in ("train", "upload", "cleanup"):
            answer = yard.ask("admin", "PATCH", f"{_run(first)}/taskInstances/{step}", json={"new_state": "success"})
            assert answer.status_code == 200, answer.text
        second = yard.submit_as("ada", "vision", STUBBORN, _medium)

        signs = [float(alive.read_text())]

        def second_trains() -> bool:
            with suppress(FileNotFoundError):  # the janitor has taken what the run left
                signs.append(float(alive.read_text()))
            # If nobody waited for the first pod yet when its step was marked, the janitor is who ends it.
            yard.janitor_pass()
            return _trains(yard.run(second))

        assert wait_for(second_trains, RUN_LIMIT_SECONDS)
        yard.trainyard("cancel", second)
        yard.finished(second)
        assert float(yard.stored(second, "started")) >= max(signs)


@pytest.fixture(scope="module")
def described(yard: Yard) -> list[tuple[str, str]]:
    """Every verb and path that Airflow says its API has, and that its pages have for themselves."""
    paths = yard.ask("admin", "GET", "/openapi.json").json()["paths"]
    known = {path: verbs for path, verbs in paths.items() if path.startswith("/api/")}
    # Those of the API come last, since one of them ends the session.
    found = [(verb.upper(), path) for path, verbs in (_of_pages() | known).items() for verb in verbs]
    assert len(found) > 120
    return found


def _of_pages() -> dict[str, Any]:
    core = importlib.metadata.distribution("apache-airflow-core")
    file = Path(str(core.locate_file("airflow/api_fastapi/core_api/openapi/_private_ui.yaml")))
    paths: dict[str, Any] = yaml.safe_load(file.read_text())["paths"]
    assert len(paths) > 15
    return paths


def _filled(path: str, model_id: str) -> str:
    values = dict.fromkeys(("dag_id", "dag_run_id", "run_id"), model_id) | {"task_id": "train", "xcom_key": "outcome"}
    place = re.sub(r"\{(\w+)(:path)?\}", lambda found: values.get(found[1], "1"), path)
    # What the paths of pages ask for besides; others take no notice.
    return f"{place}?dag_id={model_id}&start_date=2020-01-01&partition_key=1" if path.startswith("/ui/") else place


class TestEveryVerbOfEveryPath:
    """Airflow's own description of its API, so that what a new version adds is tried too."""

    def test_without_a_token_nothing_answers(self, yard: Yard, theirs: str, described) -> None:
        places = [(verb, _filled(path, theirs)) for verb, path in described if path not in _PUBLIC]
        reported = {(verb, place): yard.ask(None, verb, place, json={}).status_code for verb, place in places}
        assert {asked: status for asked, status in reported.items() if status not in (401, 403)} == {}

    def test_a_member_changes_nothing_of_anothers_training_and_reads_nothing_of_it(
        self, yard: Yard, theirs: str, described
    ) -> None:
        headers = {"Authorization": f"Bearer {yard.token('ada')}"}
        harm = {}
        for verb, path in described:
            place = _filled(path, theirs)
            answer = yard.send(verb, place, headers)
            allowed = answer.status_code < 300 and path not in _PUBLIC
            changed = verb not in READING and answer.status_code != 403 and path != _OWN_TOKEN
            if changed or (allowed and theirs in answer.text):
                harm[verb, place] = answer.status_code
        assert harm == {}
        assert yard.run(theirs)["phase"] == "training"

    def test_of_the_own_training_a_member_changes_only_what_is_listed(self, yard: Yard, mine: str, described) -> None:
        headers = {"Authorization": f"Bearer {yard.token('ada')}"}
        writes = [(verb, path) for verb, path in described if verb not in READING]
        answers = {(verb, path): yard.send(verb, _filled(path, mine), headers).status_code for verb, path in writes}
        assert {asked for asked, status in answers.items() if status != 403} == _LISTED


_DAG, _DAG_RUN = "/api/v2/dags/{dag_id}", "/api/v2/dags/{dag_id}/dagRuns/{dag_run_id}"
# What a member may ask for; Airflow itself refuses the empty bodies of these requests, or reads.
_LISTED = {
    ("POST", _OWN_TOKEN),
    ("POST", f"{_DAG}/dagRuns"),
    ("POST", f"{_DAG}/dagRuns/list"),
    ("POST", f"{_DAG}/clearTaskInstances"),
    ("POST", f"{_DAG}/favorite"),
    ("POST", f"{_DAG}/unfavorite"),
    ("POST", f"{_DAG_RUN}/clear"),
    ("POST", f"{_DAG_RUN}/taskInstances/list"),
    ("PATCH", _DAG),
    ("PATCH", _DAG_RUN),
    ("PATCH", f"{_DAG_RUN}/taskInstances/{{task_id}}"),
}
