"""The cluster under test, started once; and a yard whose pods are gone after every test."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clustertarget import Target, cluster_under_test, settings_of


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: runs trainings on a cluster; see docs/test-cluster.md")


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    try:
        with cluster_under_test(os.environ, tmp_path_factory.mktemp("target")) as found:
            yield found
    except ValueError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def core(target: Target) -> Any:
    from kubernetes import client, config

    return client.CoreV1Api(config.new_client_from_config(str(target.kubeconfig)))


@pytest.fixture(scope="session")
def hands(core: Any, target: Target, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Hands in the workspace of a cluster that has run a first pod; all pods of the suite are gone after them.

    They go also on Ctrl-C and SIGTERM, when Airflow's side is dead already.
    """
    from clusterprobe import ClusterProbe, UnfitClusterError
    from yardhands import Hands

    from trainyard.settings import read_settings

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hands = Hands(core, target, f"suite-{secrets.token_hex(4)}", read_settings(os.environ))
    try:
        ClusterProbe(core, target, hands, _teller(request.config)).run()
        yield hands
    except UnfitClusterError as error:
        pytest.exit(f"the suite cannot run on this cluster: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    finally:
        hands.end_all()


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Return what writes a line to the terminal past pytest's capture."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def tell(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    return tell


@pytest.fixture(scope="session")
def airflow(hands: Any, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from airflowprocess import airflow_process

    folder: Path = tmp_path_factory.mktemp("airflow")
    with airflow_process(folder, settings_of(target, folder)) as ready:
        yield ready()


@pytest.fixture(scope="session")
def whole_yard(core: Any, target: Target, airflow: Any, hands: Any) -> Iterator[Any]:
    from clusteryard import ClusterYard

    yard = ClusterYard(core, target, airflow, hands, hands.account)
    yield yard
    hands.remove(yard.dataset)


@pytest.fixture
def yard(whole_yard: Any) -> Iterator[Any]:
    """A yard without pods, before the test and after it, however it ends."""
    assert whole_yard.pods() == []
    try:
        yield whole_yard
    finally:
        whole_yard.clean_up()
