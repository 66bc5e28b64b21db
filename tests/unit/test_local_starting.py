"""Parts of the one-machine stack that are started, found again, and started once more."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainyard.errors import TrainyardError
from trainyard.local import processes
from trainyard.local.parts import Part
from trainyard.local.ports import pick_port
from trainyard.local.records import Records
from trainyard.local.starting import Starter

SLEEPS = ("sleep", "60")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / ".trainyard"
    (folder / "logs").mkdir(parents=True)
    return folder


@pytest.fixture
def starter(folder: Path) -> Iterator[Starter]:
    starter = Starter(folder, Records(folder))
    yield starter
    processes.end(processes.of_stack(folder, {}), 5)
    starter.forget_ended()


def _pid(folder: Path) -> int:
    running = Records(folder).running("server")
    assert running is not None
    return running.pid


def test_a_part_that_runs_is_left_alone(starter: Starter, folder: Path) -> None:
    stated: list[str] = []
    part = Part("server", SLEEPS, lambda _: True, address="here")
    starter.ensure(part, stated.append)
    first = _pid(folder)
    starter.ensure(part, stated.append)
    assert _pid(folder) == first
    assert stated == ["server ready here", "server is up here"]


def test_a_part_that_dies_while_it_is_waited_for_is_started_again(starter: Starter, folder: Path) -> None:
    """Killed a moment ago, it may still be seen to run."""
    starter.ensure(Part("server", SLEEPS, lambda _: True), print)
    first = _pid(folder)

    def ready(_: float) -> bool:
        if _pid(folder) == first:
            os.kill(first, 9)
        return _pid(folder) != first

    stated: list[str] = []
    starter.ensure(Part("server", SLEEPS, ready), stated.append)
    assert _pid(folder) != first
    assert stated == ["server ready"]


def test_a_part_whose_port_outlives_it_for_a_moment_is_started_there(starter: Starter, folder: Path) -> None:
    """A process counts as ended when its main thread has, and its other threads hold the port until they have too."""
    port = pick_port(23_500)
    listens = (
        sys.executable,
        "-c",
        f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)",
    )

    def ready(_: float) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    held = socket.create_server(("127.0.0.1", port))
    release = threading.Timer(0.5, held.close)
    release.start()
    stated: list[str] = []
    try:
        starter.ensure(Part("server", listens, ready, port=port), stated.append)
    finally:
        release.join()
        held.close()
    assert stated == ["server ready"]


def test_a_part_that_hangs_is_not_started_a_second_time(starter: Starter, folder: Path) -> None:
    starter.ensure(Part("server", SLEEPS, lambda _: True), print)
    first = _pid(folder)
    with pytest.raises(TrainyardError, match="server did not become ready"):
        starter.ensure(Part("server", SLEEPS, lambda _: False, limit_seconds=0.2), print)
    assert _pid(folder) == first


def test_a_part_that_ends_at_once_is_refused_with_the_end_of_its_log(starter: Starter) -> None:
    part = Part("server", ("sh", "-c", "echo no room left"), lambda _: False, limit_seconds=10)
    with pytest.raises(TrainyardError, match="server did not become ready") as refused:
        starter.ensure(part, print)
    assert "no room left" in refused.value.hint
