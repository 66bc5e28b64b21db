"""The housekeeping DAGs: what they are, and how their tasks ask the front door."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path

import pytest
from fakedoor import client_of
from late import Late

from trainyard.core.maintenance.retention import Report

pytestmark = pytest.mark.xdist_group("airflow")

failures = Late("trainyard.airflow.failures")
housekeeping = Late("trainyard.airflow.maintenance")
_FILE = Path(__file__).resolve().parents[2] / "dags" / "housekeeping.py"


@pytest.fixture
def door(monkeypatch):
    """A front door with answers prepared; it notes what it is asked."""
    asked, answers = [], []

    def answer(*question):
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr("trainyard.airflow.maintenance.front_door", lambda: client_of(answer))
    return asked, answers


def _report(*runs, dry=False, **changes):
    return {**Report(dry, runs=list(runs)).as_dict(), **changes}


@pytest.mark.filterwarnings("ignore")  # of what Airflow imports at its first use
def test_the_dags_say_what_they_do_and_can_be_run_by_hand():
    from airflow.sdk import DAG

    dags = [one for one in runpy.run_path(str(_FILE)).values() if isinstance(one, DAG)]
    steps = {"housekeeping": ["sweep"], "quotas": ["sync_quotas"], "janitor": ["remove_orphans"]}
    assert {dag.dag_id: list(dag.task_dict) for dag in dags} == steps
    assert all("TRAINYARD_RETENTION_DAYS" in dag.doc_md and dag.max_active_runs == 1 for dag in dags)
    dry = {dag.dag_id: dict(dag.params) for dag in dags if dag.params}
    assert dry == {"housekeeping": {"dry_run": False}, "janitor": {"dry_run": False}}


@pytest.mark.filterwarnings("ignore")
def test_the_runs_of_all_these_dags_leave_the_history_as_others_do():
    from airflow.sdk import DAG

    dags = {one.dag_id for one in runpy.run_path(str(_FILE)).values() if isinstance(one, DAG)}
    assert dags <= set(Late("trainyard.airflow.leftovers").OWN)


def test_a_sweep_goes_on_batch_by_batch_until_nothing_is_left(door, caplog):
    asked, answers = door
    answers += [_report("a", "b", left=1), _report("c", orphans=["zip d"])]
    with caplog.at_level(logging.INFO):
        report = housekeeping.sweep(False)
    assert (report["runs"], report["orphans"]) == (["a", "b", "c"], ["zip d"])
    assert asked == [("POST", "/v3/housekeeping", {"dry_run": False})] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "removed run a", "removed run b", "removed run c", "removed zip d",
    ]  # fmt: skip


def test_a_dry_sweep_asks_once_and_says_would(door, caplog):
    asked, answers = door
    answers.append(_report("a", dry=True))
    with caplog.at_level(logging.INFO):
        housekeeping.sweep(True)
    assert asked == [("POST", "/v3/housekeeping", {"dry_run": True})]
    assert caplog.messages == ["would remove run a"]


def test_what_could_not_be_removed_fails_the_task_and_is_named_in_its_log(door, caplog):
    door[1].append(_report(failed=[{"name": "training-a", "reason": "not ours"}], left=3))
    with pytest.raises(failures.StepFailedError, match="1 things could not be removed") as failed:
        housekeeping.sweep(False)
    assert failed.value.final is False
    assert caplog.messages == [
        "could not remove training-a: not ours",
        "1 things could not be removed; the log above names them",
    ]


def test_pools_follow_the_quotas_by_asking_for_them(door):
    asked, answers = door
    account = {"account": "vision", "gpus": 4, "used": 1, "waiting_gpus": 0}
    answers += [{"resources": [account]}, {"notifications": 1}]
    assert housekeeping.sync_quotas() == [account]
    assert asked == [("POST", "/v3/quota"), ("POST", "/v3/notify/waiting")]
