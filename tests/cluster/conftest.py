"""The cluster under test, started once; and a yard whose pods are gone after every test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
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
def airflow(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from airflowprocess import airflow_process

    folder: Path = tmp_path_factory.mktemp("airflow")
    with airflow_process(folder, settings_of(target, folder)) as ready:
        yield ready()


@pytest.fixture(scope="session")
def whole_yard(core: Any, target: Target, airflow: Any) -> Iterator[Any]:
    from clusteryard import ClusterYard
    from yardhands import Hands

    from trainyard.settings import read_settings

    account = f"suite-{secrets.token_hex(4)}"
    hands = Hands(core, target, account, read_settings(os.environ))
    yard = ClusterYard(core, target, airflow, hands, account)
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
