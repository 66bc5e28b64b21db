"""The one-machine stack's servers are told to listen on loopback, whatever the environment of their starter says."""

from __future__ import annotations

from pathlib import Path

import pytest

from localkube.__main__ import _listen, main
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


def test_the_cluster_listens_on_loopback() -> None:
    with _listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_the_cluster_takes_no_other_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path), "--host", "0.0.0.0"])
    assert "--host" in capsys.readouterr().err


def test_containers_of_the_stack_find_its_folder_empty(tmp_path: Path) -> None:
    assert _option(parts.cluster(tmp_path / "cluster", 6443), "--hide") == str(tmp_path)


def test_a_folder_to_hide_that_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path / "it"), "--hide", str(tmp_path / "nowhere")])
    assert "nothing to hide" in capsys.readouterr().err
    assert not (tmp_path / "it").exists()
