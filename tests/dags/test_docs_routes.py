"""docs/rest.md has every request and every field of an answer; docs/errors.md says how often a step is tried again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from appasking import created_app
from fastapi.routing import APIWebSocketRoute
from samples import MODEL_ID, training

from trainyard.core.livemetrics import LiveMetrics
from trainyard.core.runs import Run
from trainyard.core.schedules import Entry
from trainyard.domain.outcome import Outcome
from trainyard.domain.schedule import Progress, Schedule
from trainyard.domain.states import Phase
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_WORDS = {2: "two", 4: "four"}


def _text(page: str) -> str:
    return " ".join((_DOCS / f"{page}.md").read_text("utf-8").split())


def test_every_request_is_documented_and_no_other():
    app = created_app()
    paths = app.openapi()["paths"]
    there = {f"{verb.upper()} /v3{_as_documented(path)}" for path, verbs in paths.items() for verb in verbs}
    # OpenAPI has no words for websockets, which begin as a GET.
    sockets = {f"GET /v3{_as_documented(each.path)}" for each in app.routes if isinstance(each, APIWebSocketRoute)}
    assert sockets
    there |= sockets
    documented = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /v3/[\w/.]+)`", _text("rest")))
    assert documented == there


def _as_documented(path: str) -> str:
    named = re.sub(r"{(name|bucket|key|other)}", lambda found: found[1].upper(), path)
    return re.sub(r"{\w+}", "ID", named)


def _run() -> Run:
    return Run(MODEL_ID, MODEL_ID, "tf-mnist", "vision", "tensorflow", 1, Phase.DONE, 1.0, outcome=Outcome())


def _told(folder: Path) -> dict:
    from trainyard.api.models import run_json

    return run_json(_run(), LiveMetrics(Workspace(folder), lambda _: None))


def test_every_field_of_a_run_and_its_outcome_is_documented(tmp_path):
    reported = _told(tmp_path)
    assert [
        key for key in (*reported, "transfer", "schedule", *reported["outcome"]) if f"`{key}`" not in _text("cli")
    ] == []


def test_what_only_one_run_alone_has_is_in_no_list(tmp_path):
    assert {"transfer", "schedule"}.isdisjoint(_told(tmp_path))


@pytest.mark.parametrize("page", ["rest", "cli"])
def test_every_field_of_a_schedule_is_documented(page):
    from trainyard.api.schedules import schedule_json
    from trainyard.core.retraining import Retrained, ScheduleState

    entry = Entry(MODEL_ID, Schedule(cron="30 2 * * *"), Progress(settled=0.0))
    reported = schedule_json(Retrained(training(MODEL_ID), entry, ScheduleState.ACTIVE, 1.0, MODEL_ID))
    assert [key for key in reported if f"`{key}`" not in _text(page)] == []


@pytest.mark.parametrize("page", ["rest", "cli"])
def test_every_field_of_an_account_and_of_a_dataset_is_documented(page):
    from trainyard.api.datasets import dataset_json
    from trainyard.api.quota import usage_json
    from trainyard.core.quota import Usage
    from trainyard.workspace.datasets import Cached

    fields = [*usage_json(Usage("vision", 1, 0, 0, 0, 0.0)), *dataset_json(Cached("k", "b", "v", 1, 1, (), 0, 1.0))]
    assert [key for key in fields if f"`{key}`" not in _text(page)] == []


def test_how_often_a_step_is_tried_again_is_documented():
    from trainyard.airflow.dag import _RETRIES
    from trainyard.settings import read_settings

    first = int(_RETRIES["retry_delay"].total_seconds())
    assert f"by itself, {_WORDS[_RETRIES['retries']]} times, later each time: after {first} seconds" in _text("errors")
    assert f"else `TRAINYARD_POD_RETRIES` ({read_settings({}).pod_retries})" in _text("errors")


def test_the_services_own_dags_are_documented():
    from trainyard.airflow.leftovers import OWN

    rows = (_DOCS / "accounts.md").read_text("utf-8").splitlines()
    (row,) = [row for row in rows if "the service's own DAGs (" in row]
    assert sorted(re.findall(r"`(\w+)`", row)) == sorted(OWN)


def test_how_many_results_a_page_has_is_documented():
    from trainyard.api.results import MAX

    assert f"at most {MAX:,} objects, or `limit` of them" in _text("rest")


def _described(answers: dict, schemas: dict) -> bool:
    """Say whether an answer of JSON names its fields; what is a file or a stream has none."""
    content = answers.get("content", {}).get("application/json")
    if content is None:
        return True
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    return bool(schemas.get(name, {}).get("properties"))


def test_every_answer_is_described_field_by_field():
    document = created_app().openapi()
    schemas = document["components"]["schemas"]
    vague = [
        (verb, path, status)
        for path, verbs in document["paths"].items()
        for verb, route in verbs.items()
        for status, answers in route["responses"].items()
        if status.startswith("2") and not _described(answers, schemas)
    ]
    # A JSON Schema is described by the specification of JSON Schema.
    assert vague == [("get", "/schemas/{name}", "200")]


@pytest.mark.parametrize("field", ["transfer", "schedule"])
def test_a_run_that_is_listed_is_described_without_what_one_run_alone_has(field):
    schemas = created_app().openapi()["components"]["schemas"]
    assert field not in schemas["RunAnswer"]["properties"]
    assert field in schemas["RunDetails"]["properties"]
