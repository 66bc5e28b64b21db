"""The dag-processor's parsing takes no longer for all the files that it knows."""

from __future__ import annotations

import signal

import pytest
from late import Late
from sqlalchemy.orm.exc import StaleDataError

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    pytest.mark.filterwarnings("ignore"),  # of a library that Airflow imports with its dag-processor
]

staledags = Late("trainyard.airflow.patches.staledags")
managerrepr = Late("trainyard.airflow.patches.managerrepr")
models = Late("airflow.models.dag")
managers = Late("airflow.dag_processing.manager")


@pytest.fixture
def manager(monkeypatch):
    # Put back afterwards, whatever is installed now.
    kept = managers.DagFileProcessorManager.__repr__
    monkeypatch.setattr(managers.DagFileProcessorManager, "__repr__", kept)
    managerrepr.install()
    staledags.install()
    made = managers.DagFileProcessorManager(max_runs=1)
    made._bundle_versions = {f"bundle-{number}": None for number in range(1000)}
    return made


def test_a_manager_that_knows_much_tells_little(manager):
    assert len(repr(manager)) < 200


def test_dags_that_are_deleted_while_it_looks_for_removed_files_end_no_manager(manager, monkeypatch):
    def deleted_meanwhile(*_, **__):
        raise StaleDataError("UPDATE statement on table 'dag' expected to update 3 row(s); 2 were matched.")

    monkeypatch.setattr(models.DagModel, "deactivate_deleted_dags", deleted_meanwhile)
    manager.deactivate_deleted_dags("trainings", set())


def test_a_handler_of_the_manager_can_be_taken_back(manager):
    before = signal.signal(signal.SIGUSR2, manager._exit_gracefully)
    try:
        assert signal.signal(signal.SIGUSR2, signal.SIG_DFL) == manager._exit_gracefully
    finally:
        signal.signal(signal.SIGUSR2, before)
