"""The one-machine stack's servers are told to listen on loopback, whatever the environment of their starter says."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.local import parts
from trainyard.local.parts import AIRFLOW_PARTS, API_SERVER, Part

_ANYWHERE = {"AIRFLOW__API__HOST": "0.0.0.0", "RCLONE_ADDR": "0.0.0.0:9000", "HOST": "0.0.0.0"}


@pytest.fixture(autouse=True)
def _careless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _ANYWHERE.items():
        monkeypatch.setenv(name, value)


def _option(part: Part, name: str) -> str:
    return part.command[part.command.index(name) + 1]


def test_the_object_store_is_told_its_loopback_address_in_its_command(tmp_path: Path) -> None:
    part = parts.object_store(tmp_path, 9123, "key", "secret")
    assert _option(part, "--addr") == "127.0.0.1:9123"


def test_airflows_api_server_is_told_its_loopback_address_in_its_command() -> None:
    assert _option(parts.airflow(API_SERVER, {}, 8123), "--host") == "127.0.0.1"


@pytest.mark.parametrize("name", [name for name in AIRFLOW_PARTS if name != API_SERVER])
def test_no_other_part_of_airflow_serves_anything(name: str) -> None:
    command = parts.airflow(name, {}, 8123).command
    assert "--host" not in command
    assert ("--skip-serve-logs" in command) == (name in ("scheduler", "triggerer"))


def test_the_cluster_is_told_no_address_since_it_knows_no_other(tmp_path: Path) -> None:
    assert not [word for word in parts.cluster(tmp_path / "cluster", 6443).command if "host" in word]


def test_containers_of_the_stack_find_its_folder_empty(tmp_path: Path) -> None:
    assert _option(parts.cluster(tmp_path / "cluster", 6443), "--hide") == str(tmp_path)
