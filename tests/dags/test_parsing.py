"""The dag-processor's parsing takes no longer for all the files that it knows."""

from __future__ import annotations

import signal

import pytest
from late import Late

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    pytest.mark.filterwarnings("ignore"),  # of a library that Airflow imports with its dag-processor
]

parsing = Late("trainyard.airflow.parsing")
managers = Late("airflow.dag_processing.manager")


@pytest.fixture
def manager(monkeypatch):
    # Put back afterwards, whatever is installed now.
    kept = managers.DagFileProcessorManager.__repr__
    monkeypatch.setattr(managers.DagFileProcessorManager, "__repr__", kept)
    parsing.install()
    made = managers.DagFileProcessorManager(max_runs=1)
    made._bundle_versions = {f"bundle-{number}": None for number in range(1000)}
    return made


def test_a_manager_that_knows_much_tells_little(manager):
    assert len(repr(manager)) < 200


def test_a_handler_of_the_manager_can_be_taken_back(manager):
    before = signal.signal(signal.SIGUSR2, manager._exit_gracefully)
    try:
        assert signal.signal(signal.SIGUSR2, signal.SIG_DFL) == manager._exit_gracefully
    finally:
        signal.signal(signal.SIGUSR2, before)
