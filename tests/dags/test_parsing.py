"""The dag-processor outlives what other processes do to its DAGs."""

from __future__ import annotations

import pytest
from late import Late
from sqlalchemy.orm.exc import StaleDataError

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    pytest.mark.filterwarnings("ignore"),  # of a library that Airflow imports with its dag-processor
]

staledags = Late("trainyard.airflow.patches.staledags")
models = Late("airflow.models.dag")
managers = Late("airflow.dag_processing.manager")


@pytest.fixture
def manager(monkeypatch):
    runner = managers.DagFileProcessorManager
    monkeypatch.setattr(runner, "deactivate_deleted_dags", runner.deactivate_deleted_dags)
    staledags.install()
    return runner(max_runs=1)


def test_dags_that_are_deleted_while_it_looks_for_removed_files_end_no_manager(manager, monkeypatch):
    def deleted_meanwhile(*_, **__):
        raise StaleDataError("UPDATE statement on table 'dag' expected to update 3 row(s); 2 were matched.")

    monkeypatch.setattr(models.DagModel, "deactivate_deleted_dags", deleted_meanwhile)
    manager.deactivate_deleted_dags("trainings", set())
