"""A hostile training on the one-machine stack reads and changes nothing but its own, and nobody beyond is let in."""

from __future__ import annotations

import ipaddress
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from yard import Yard

pytestmark = pytest.mark.xdist_group("other stack")

# What a program can try with the paths of others, and with links that the service might follow for it.
INTRUDER = """
import json, os, pathlib

def attempt(deed):
    try:
        return str(deed())
    except OSError as error:
        return type(error).__name__

def below(folder):
    return sorted(str(path) for path in pathlib.Path(folder).rglob("*") if path.is_file())

foreign = {foreign}
result, data = pathlib.Path(os.environ["RESULT_DIR"]), pathlib.Path(os.environ["DATA_DIR"])
seen = {{
    "read": {{path: attempt(lambda: below(path) or pathlib.Path(path).read_bytes()) for path in foreign}},
    "around": {{path: below(path) for path in ("/job/data/../../runs", "/job/model/../../../runs")}},
    "job": sorted(os.listdir("/job")),
    "another's result": attempt(lambda: pathlib.Path({victim!r}, "result", "x").write_text("x")),
    "dataset": attempt(lambda: (data / "x").write_text("x")),
    "dataset changed": attempt(lambda: next(data.iterdir()).write_text("x")),
    "dataset remounted": os.system("mount -o remount,bind,rw /job/data 2>/dev/null || umount /job/data 2>/dev/null"),
}}
for number, path in enumerate(foreign):
    (result / str(number)).symlink_to(path)
log = pathlib.Path(os.environ["LOG_DIR"], "learner-1", "training-log.txt")
log.unlink()
log.symlink_to({secrets!r})
(result / "seen.json").write_text(json.dumps(seen))
"""
VICTIM = """
import os, pathlib
pathlib.Path(os.environ["RESULT_DIR"], "model.txt").write_text("of the victim")
pathlib.Path(os.environ["RESULT_DIR"]).joinpath("ready").touch()
import time
time.sleep(600)
"""
_DENIED = {"FileNotFoundError", "NotADirectoryError", "PermissionError"}
_OWN = ["checkpoints", "data", "home", "logs", "model", "result", "state"]


@pytest.fixture(scope="module")
def sealed(yard: Yard) -> None:
    """Skip where this machine allows no mount namespace; docs/local-cluster.md says what then is not isolated."""
    if yard.kubectl("get", "nodes", "-o", "jsonpath={..containerRuntimeVersion}").endswith("//paths"):
        pytest.skip("without a mount namespace nothing is held back")


@pytest.fixture(scope="module")
def victim(yard: Yard) -> str:
    model_id = yard.submit("fails-with-3", program=VICTIM)
    yard.until(model_id, lambda run: run["phase"] == "training")
    return model_id


@pytest.fixture(scope="module")
def another_bucket(yard: Yard) -> Iterator[Path]:
    """Make a dataset of a bucket that no run of these tests reads."""
    folder = yard.folder / "workspace" / "datasets" / "of-another-bucket"
    folder.mkdir()
    (folder / "rows.csv").write_text("of another bucket")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def intrusion(yard: Yard, sealed: None, victim: str, another_bucket: Path) -> tuple[str, dict[str, Any]]:
    program = INTRUDER.format(
        foreign=[*_foreign(yard, victim), str(another_bucket)],
        victim=str(yard.folder / "workspace" / "runs" / victim / victim),
        secrets=str(yard.folder / "secrets.json"),
    )
    model_id = yard.submit("fails-with-3", program=program)
    yard.finished(model_id)
    return model_id, json.loads(yard.stored(model_id, "seen.json"))


def _foreign(yard: Yard, victim: str) -> list[str]:
    """Return what lies in the stack's folder and is no training's: each is there, and not empty."""
    folder = yard.folder
    paths = [
        folder / "workspace" / "runs" / victim / victim,
        *(folder / name for name in ("catalogue", "objects", "logs")),
        *(folder / name for name in ("secrets.json", "client.json", "cluster/token", "airflow/airflow.db")),
    ]
    assert [path for path in paths if not path.exists()] == []
    return [str(path) for path in paths]


def test_it_finds_no_other_run_no_other_dataset_and_nothing_of_the_service(
    yard: Yard, intrusion: tuple[str, dict[str, Any]]
) -> None:
    _, seen = intrusion
    assert {path: found for path, found in seen["read"].items() if found not in _DENIED} == {}
    assert set(map(str, seen["around"].values())) == {"[]"}
    assert seen["job"] == _OWN


def test_it_writes_neither_to_its_dataset_nor_to_anothers_result(
    yard: Yard, victim: str, intrusion: tuple[str, dict[str, Any]]
) -> None:
    _, seen = intrusion
    assert (seen["dataset"], seen["dataset changed"]) == ("OSError", "OSError")
    assert seen["dataset remounted"] != 0
    assert seen["another's result"] in _DENIED
    result = yard.folder / "workspace" / "runs" / victim / victim / "result"
    assert {path.name for path in result.iterdir()} == {"model.txt", "ready"}


def test_no_link_of_its_own_makes_the_service_read_for_it(yard: Yard, intrusion: tuple[str, dict[str, Any]]) -> None:
    model_id, seen = intrusion
    stored = yard.results(model_id)
    assert not [number for number in range(len(seen["read"])) if str(number) in stored]
    reported = [yard.airflow(f"/v3/models/{model_id}/logs").text, yard.trainyard("logs", model_id).stdout]
    files = [path for path in (yard.folder / "objects").glob(f"*/{model_id}/**/*") if path.is_file()]
    assert [text for text in [*reported, *map(_text, files)] if yard.secrets.password in text] == []


def _text(path: Path) -> str:
    return path.read_text(errors="replace")


def test_a_victim_is_canceled_with_what_it_had(yard: Yard, victim: str) -> None:
    yard.trainyard("cancel", victim)
    assert yard.finished(victim)["state"] == "canceled"
    assert yard.stored(victim, "model.txt") == "of the victim"


def test_no_server_of_the_stack_listens_beyond_loopback(yard: Yard) -> None:
    listening = {address for process in yard.stack.processes() for address in _listening(process)}
    assert listening
    assert [address for address in listening if not ipaddress.ip_address(address).is_loopback] == []


def _listening(process: psutil.Process) -> set[str]:
    with suppress(psutil.NoSuchProcess):  # steps come and go
        found = process.net_connections("inet")
        return {connection.laddr.ip for connection in found if connection.status == psutil.CONN_LISTEN}
    return set()


def test_whoever_starts_the_stack_is_told_that_it_is_no_sandbox(yard: Yard) -> None:
    assert "no sandbox" in yard.trainyard("up", "--folder", str(yard.folder)).stdout
