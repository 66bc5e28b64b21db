"""A one-machine stack for each of two xdist groups of end-to-end tests: two workers start one each, side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from planted import of_airflow
from storeservers import swift, swift_hands, swiftcloud
from swiftcloud.sharing import MARK, ready_cloud
from yard import Yard, take_ports

from trainyard.local.demo import put_data
from trainyard.local.environment import STORES, USERS
from trainyard.local.parts import GPUS
from trainyard.local.ports import pick_port
from trainyard.local.stack import Stack
from trainyard.settings import data_file

__all__ = ["swift", "swift_hands", "swiftcloud"]


# Beside the shipped accounts, which are everybody's, two that have one member each.
_OWN_ACCOUNTS = """
  - {name: vision, gpus: 2, members: [ada], max_hours: 1, connections: [team-bucket]}
  - {name: speech, gpus: 2, members: [grace], max_hours: 1}
"""


def _quotas(folder: Path) -> Path:
    file = folder.parent / "quotas.yaml"
    file.write_text(data_file("config/quotas.yaml").read_text().rstrip() + _OWN_ACCOUNTS)
    return file


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Yard]:
    stack = Stack(tmp_path_factory.mktemp("yard") / ".trainyard")
    take_ports(stack, 11_000)
    ports = [pick_port(first + os.getpid() % 1000) for first in (20_500, 21_500, 22_500)]
    environment = {
        USERS: "ada,grace",
        "TRAINYARD_QUOTAS_FILE": str(_quotas(stack.folder)),
        GPUS: "9",  # as many as these accounts own together
        **of_airflow(stack.folder / "objects"),
        "TRAINYARD_GRACE_SECONDS": "5",
        STORES: ",".join([*(f"127.0.0.1:{port}" for port in ports), *_swifts(request.session)]),
        # Runs whose stores drip end within a test; honest stores on this machine answer in no time.
        "TRAINYARD_STORE_CALL_SECONDS": "5",
        # Whenever it comes, the janitor has to leave alone what the other tests do.
        "TRAINYARD_JANITOR_GRACE_SECONDS": "1",
    }
    yard = Yard(stack, *ports, environment)
    try:
        yard.up(print)
        put_data(stack.folder / "objects")
        yield yard
    finally:
        servers = stack.processes()
        ports = [int(row["address"].rpartition(":")[2]) for row in stack.status().values() if row["address"]]
        stack.down(print)
    assert not [process for process in servers if _runs(process)], "down left processes behind"
    assert [pick_port(port) for port in ports] == ports, "down left ports behind"


def _runs(process: psutil.Process) -> bool:
    """Say whether a process is at work: one that has ended may wait to be collected by this very process."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _swifts(session: pytest.Session) -> list[str]:
    """Return where Keystone and Swift are, if a test of this session has them."""
    if not any(item.get_closest_marker(MARK) for item in session.items):
        return []
    cloud = ready_cloud()
    return [url.partition("://")[2] for url in (cloud.keystone, cloud.swift)]
