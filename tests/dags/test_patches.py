"""Patches of Airflow fit the version that is pinned, and leave one that has another shape alone."""

from __future__ import annotations

import importlib

import pytest
from late import Late

from trainyard.airflow import patches

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    pytest.mark.filterwarnings("ignore"),  # of a library that Airflow imports with its dag-processor
]

runners = Late("airflow.jobs.triggerer_job_runner")
managers = Late("airflow.dag_processing.manager")
runs = Late("airflow.models.dagrun")
schedulers = Late("airflow.jobs.scheduler_job_runner")
_QUEUED = "_executable_task_instances_to_queued"
_DEACTIVATES = "deactivate_deleted_dags"
_EXAMINED = "get_running_dag_runs_to_examine"


@pytest.fixture(autouse=True)
def _airflow_as_it_comes(monkeypatch):
    """Put back afterwards what a patch changes."""
    monkeypatch.setattr(runners.TriggerRunner, "run_trigger", runners.TriggerRunner.run_trigger)
    monkeypatch.setattr(schedulers.SchedulerJobRunner, _QUEUED, getattr(schedulers.SchedulerJobRunner, _QUEUED))
    monkeypatch.setattr(runs.DagRun, _EXAMINED, runs.DagRun.__dict__[_EXAMINED])
    monkeypatch.setattr(
        managers.DagFileProcessorManager, _DEACTIVATES, managers.DagFileProcessorManager.deactivate_deleted_dags
    )


@pytest.fixture
def warnings(caplog, capsys):
    return lambda: [line for line in (caplog.text + capsys.readouterr().out).splitlines() if "left as it is" in line]


@pytest.mark.parametrize("process", sorted(patches.PATCHES))
def test_every_patch_fits_the_pinned_airflow(process, warnings):
    patches.apply(process)
    assert warnings() == []


def test_a_part_that_is_gone_or_takes_something_else_leaves_airflow_as_it_is(monkeypatch, warnings):
    as_usual = runners.TriggerRunner.run_trigger
    monkeypatch.delattr(runners.TriggerRunner, "sync_state_to_supervisor")
    monkeypatch.setattr(managers.DagFileProcessorManager, _DEACTIVATES, lambda bundle: None)
    changed = managers.DagFileProcessorManager.deactivate_deleted_dags
    patches.apply("triggerer")
    patches.apply("dag-processor")
    assert runners.TriggerRunner.run_trigger is as_usual
    assert managers.DagFileProcessorManager.deactivate_deleted_dags is changed
    assert [line.split("patch ")[1].split()[0] for line in warnings()] == ["promptevents", "staledags"]


def test_a_patch_that_cannot_be_imported_keeps_no_process_from_starting(monkeypatch, warnings):
    def broken(name):
        raise ImportError(f"no module named {name}")

    monkeypatch.setattr(importlib, "import_module", broken)
    patches.apply("triggerer")
    assert len(warnings()) == 2
