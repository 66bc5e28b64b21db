"""A part of the stack that ends is started again, with growing pauses, and what happened is kept for `status`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from trainyard.local import parts, processes
from trainyard.local.parts import SUPERVISOR, Part
from trainyard.local.ports import PortReservations, pick_port
from trainyard.local.ready import wait_for
from trainyard.local.records import Records, Running
from trainyard.local.restarts import Backoff, Restarts
from trainyard.local.stack import Stack
from trainyard.local.starting import Starter
from trainyard.local.supervisor import Supervisor


@dataclass
class SmallStack:
    """A stack of few parts, which are no servers of Airflow's."""

    folder: Path
    all: dict[str, Part] = field(default_factory=dict)

    def supervised(self) -> Mapping[str, Part]:
        return self.all

    def add(self, name: str, *command: str, port: int = 0) -> Part:
        self.all[name] = Part(name, command, lambda _: True, port=port)
        return self.all[name]

    def pid(self, name: str) -> int:
        running = Records(self.folder).running(name)
        assert running is not None
        return running.pid


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallStack]:
    folder = tmp_path / ".trainyard"
    (folder / "logs").mkdir(parents=True)
    yield SmallStack(folder)
    processes.end(processes.of_stack(folder, {}), 5)


@pytest.fixture
def starter(small: SmallStack) -> Iterator[Starter]:
    starter = Starter(small.folder, Records(small.folder))
    yield starter
    processes.end(processes.of_stack(small.folder, {}), 5)
    starter.forget_ended()


@pytest.fixture
def stated() -> list[str]:
    return []


@pytest.fixture
def supervisor(small: SmallStack, stated: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(small, stated.append)
    yield supervisor
    processes.end(processes.of_stack(small.folder, {}), 5)
    supervisor.stop()


def _kill(small: SmallStack, name: str) -> int:
    pid = small.pid(name)
    os.kill(pid, 9)
    assert wait_for(lambda: not Records(small.folder).all_running()[name].alive, 120)
    return pid


def test_a_part_that_ended_is_started_again(small: SmallStack, starter: Starter, supervisor: Supervisor) -> None:
    starter.ensure(small.add("server", "sleep", "60"), print)
    first = _kill(small, "server")
    supervisor.look()
    assert wait_for(lambda: supervisor.look() or small.pid("server") != first, 120)
    assert Records(small.folder).all_running()["server"].alive
    noted = Records(small.folder).restarts("server")
    assert noted.count == 1
    assert noted.last_exit is not None


def test_of_a_part_that_it_started_itself_it_knows_how_it_ended(
    small: SmallStack, starter: Starter, supervisor: Supervisor, stated: list[str]
) -> None:
    starter.ensure(small.add("server", "sleep", "60"), print)
    small.add("server", "sh", "-c", "exit 3")
    _kill(small, "server")
    records = Records(small.folder)
    assert wait_for(lambda: supervisor.look() or records.restarts("server").exit_code == 3, 120)
    assert any(line.endswith("server ended with 3") for line in stated)


def test_parts_that_run_and_parts_that_were_stopped_are_left_alone(
    small: SmallStack, starter: Starter, supervisor: Supervisor, stated: list[str]
) -> None:
    starter.ensure(small.add("server", "sleep", "60"), print)
    small.add("stopped", "sleep", "60")
    supervisor.look()
    assert stated == []
    assert list(Records(small.folder).all_running()) == ["server"]


def test_nothing_is_started_while_up_or_down_is_at_work(
    small: SmallStack, starter: Starter, supervisor: Supervisor
) -> None:
    starter.ensure(small.add("server", "sleep", "60"), print)
    first, records = _kill(small, "server"), Records(small.folder)
    supervisor.look()
    backoff = supervisor.backoff("server")
    with records.lock():
        backoff.due = 0
        supervisor.look()
        assert small.pid("server") == first
    supervisor.look()
    assert small.pid("server") != first


def test_a_part_whose_port_another_program_has_is_not_started_and_status_says_why(
    small: SmallStack, starter: Starter, supervisor: Supervisor
) -> None:
    records = Records(small.folder)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        starter.ensure(small.add("server", "sleep", "60"), print)
        small.add("server", "sleep", "60", port=foreign.getsockname()[1])
        first = _kill(small, "server")
        assert wait_for(lambda: supervisor.look() or records.restarts("server").hindrance != "", 120)
        assert small.pid("server") == first
        assert "another program" in records.restarts("server").hindrance
    supervisor.backoff("server").due = 0
    supervisor.look()
    assert small.pid("server") != first
    assert records.restarts("server").hindrance == ""


def test_one_part_that_cannot_be_started_keeps_no_other_down(
    small: SmallStack, starter: Starter, supervisor: Supervisor
) -> None:
    for name in ("broken", "server"):
        starter.ensure(small.add(name, "sleep", "60"), print)
    small.add("broken", "/no/such/program")
    first = [_kill(small, name) for name in ("broken", "server")][1]
    assert wait_for(lambda: supervisor.look() or small.pid("server") != first, 120)


def test_the_ports_of_a_stack_stay_its_own_while_a_part_is_down(small: SmallStack, supervisor: Supervisor) -> None:
    with PortReservations() as reservations:
        port = Records(small.folder).ports({"server": pick_port(0)}, reservations)["server"]
    supervisor.look()
    with PortReservations() as others:
        assert not others.reserve(port)
        supervisor.stop()
        assert others.reserve(port)


class TestPauses:
    def test_they_double_up_to_a_minute(self) -> None:
        backoff, pauses = Backoff(), []
        for pid in range(1, 10):
            backoff.note_end(pid, 0, 0)
            pauses.append(backoff.due)
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    def test_a_part_that_ran_for_long_starts_again_at_once(self) -> None:
        backoff = Backoff()
        for pid in range(1, 6):
            backoff.note_end(pid, 0, 0)
        backoff.note_end(6, 3600, 0)
        assert backoff.due == 1

    def test_one_end_counts_once(self) -> None:
        backoff = Backoff()
        assert backoff.note_end(1, 0, 0)
        assert not backoff.note_end(1, 0, 50)
        assert backoff.due == 1


class TestProcess:
    """The supervisor's own process, over a stack of which nothing else runs."""

    def _ensure(self, small: SmallStack, starter: Starter) -> int:
        starter.ensure(parts.supervisor(small.folder), print)
        return small.pid(SUPERVISOR)

    def test_a_second_one_ends_at_once(self, small: SmallStack, starter: Starter) -> None:
        first = self._ensure(small, starter)
        command = (sys.executable, "-m", "trainyard.local.supervisor", "--folder", str(small.folder))
        second = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert second.returncode == 1
        assert "another supervisor" in second.stdout
        assert psutil.pid_exists(first)

    def test_one_that_was_killed_is_started_by_the_next_up(self, small: SmallStack, starter: Starter) -> None:
        first = self._ensure(small, starter)
        os.kill(first, 9)
        # The system takes a moment.
        assert wait_for(lambda: not Records(small.folder).all_running()[SUPERVISOR].alive, 120)
        second = self._ensure(small, starter)
        assert second != first
        assert Records(small.folder).supervisor() == second

    def test_down_ends_it_before_the_parts(self, small: SmallStack, starter: Starter) -> None:
        self._ensure(small, starter)
        server = starter.start(small.add("server", "sleep", "60"))
        Stack(small.folder).down(print)
        assert Records(small.folder).all_running() == {}
        assert not server.alive
        assert processes.of_stack(small.folder, {}) == []


def test_status_tells_restarts_and_the_last_exit(small: SmallStack) -> None:
    records = Records(small.folder)
    me = psutil.Process()
    records.remember("scheduler", Running(me.pid, me.create_time(), ""))
    row = Stack(small.folder).status()["scheduler"]
    assert (row["state"], row["restarts"], row["last_exit"]) == ("up", 0, None)
    records.note_restarts("scheduler", Restarts(2, 0.0, 9, "no room"))
    row = Stack(small.folder).status()["scheduler"]
    assert row["restarts"] == 2
    assert row["last_exit"] == {"at": "1970-01-01T00:00:00+00:00", "exit_code": 9}
    assert row["hindrance"] == "no room"
