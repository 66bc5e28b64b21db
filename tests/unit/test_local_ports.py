"""Stacks that want the same ports: each gets its own, and none takes another's server for its own."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trainyard.errors import TrainyardError
from trainyard.local import processes
from trainyard.local.parts import Part
from trainyard.local.ports import PortReservations, free_port, listens, pick_port
from trainyard.local.ready import answers, wait_for
from trainyard.local.records import Records
from trainyard.local.starting import PortTakenError, Starter

# A server that takes its time before it listens, as Airflow does; it ends where somebody else has its port.
SERVES = """
import http.server, sys, time
time.sleep(float(sys.argv[2]))
http.server.test(port=int(sys.argv[1]), bind="127.0.0.1")
"""
USUAL = 18000 + os.getpid() % 10000


def _server(port: int, delay: float = 0.3) -> Part:
    address = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-c", SERVES, str(port), str(delay))
    return Part("server", command, lambda _: answers(address), address=address, limit_seconds=120, port=port)


def _starter(folder: Path) -> Starter:
    (folder / "logs").mkdir(parents=True)
    return Starter(folder, Records(folder))


def _start_stack(folder: Path, gate: Any, chosen: Any) -> None:
    """Start a stack of one server, at the same moment as others."""
    starter, records = _starter(folder), Records(folder)
    gate.wait(120)
    with PortReservations() as reservations:
        port = records.ports({"server": USUAL}, reservations)["server"]
        starter.ensure(_server(port), lambda _: None)
    running = records.running("server")
    assert running is not None
    chosen.put((port, listens(running.pid, port)))


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    folders = [tmp_path / name / ".trainyard" for name in ("one", "two", "three")]
    yield folders
    for folder in folders:
        processes.end(processes.of_stack(folder, {}), 5)


@pytest.fixture
def started(folders: list[Path]) -> Iterator[Callable[[int], Starter]]:
    """Return the starter of a stack, whose children are let go of at the end."""
    made: list[Starter] = []

    def make(number: int) -> Starter:
        made.append(_starter(folders[number]))
        return made[-1]

    yield make
    for folder in folders:
        processes.end(processes.of_stack(folder, {}), 5)
    for starter in made:
        starter.forget_ended()


def test_three_stacks_that_start_at_once_get_ports_and_servers_of_their_own(folders: list[Path]) -> None:
    context = multiprocessing.get_context("spawn")
    gate, chosen = context.Barrier(len(folders)), context.Queue()
    stacks = [context.Process(target=_start_stack, args=(folder, gate, chosen)) for folder in folders]
    for stack in stacks:
        stack.start()
    for stack in stacks:
        stack.join(240)
    assert [stack.exitcode for stack in stacks] == [0, 0, 0]
    found = [chosen.get(timeout=120) for _ in stacks]
    assert len({port for port, _ in found}) == len(stacks)
    assert all(own for _, own in found)


def test_a_port_that_is_reserved_is_nobody_elses_until_the_process_that_reserved_it_ends() -> None:
    port = pick_port(0)
    reserves = (
        f"from trainyard.local.ports import *; r = PortReservations(); print(r.reserve({port}), flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", reserves], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other, PortReservations() as reservations:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not reservations.reserve(port)
        assert reservations.pick(port) != port
        other.kill()
        other.wait(120)
        assert reservations.reserve(port)


def test_a_stack_does_not_give_one_port_to_two_servers() -> None:
    with PortReservations() as reservations:
        usual = pick_port(0)
        assert reservations.pick(usual) != reservations.pick(usual)


def test_a_server_of_another_program_on_the_port_is_not_taken_for_the_part(started: Callable[[int], Starter]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign, pytest.raises(PortTakenError, match="taken by another"):
        started(0).ensure(_server(foreign.getsockname()[1]), print)


def test_a_server_that_comes_to_the_port_while_the_part_starts_is_not_taken_for_it(
    started: Callable[[int], Starter], folders: list[Path]
) -> None:
    port, starter = pick_port(0), started(0)
    begun = Records(folders[0])
    with ExitStack() as later:

        def meanwhile(_: float) -> bool:
            if free_port(port):
                later.enter_context(socket.create_server(("127.0.0.1", port)))
            return True

        part = _server(port, delay=1)
        with pytest.raises(PortTakenError):
            starter.ensure(Part("server", part.command, meanwhile, port=port, limit_seconds=120), print)
    running = begun.running("server")
    assert running is not None
    assert not running.alive


def test_the_server_of_another_stack_is_not_taken_for_this_ones(started: Callable[[int], Starter]) -> None:
    port = pick_port(0)
    one, other = started(0), started(1)
    one.ensure(_server(port), print)
    with pytest.raises(PortTakenError):
        other.ensure(_server(port), print)


def test_a_part_is_believed_only_where_this_stacks_own_server_speaks_for_it(started: Callable[[int], Starter]) -> None:
    """The schedulers of two stacks are both called healthy, each by its own api-server."""
    port = pick_port(0)
    one, other = started(0), started(1)
    one.ensure(_server(port), print)
    sleeper = Part("sleeper", ("sleep", "60"), lambda _: True, limit_seconds=1, port=port, server="server")
    one.ensure(sleeper, print)
    with pytest.raises(TrainyardError, match="sleeper did not become ready"):
        other.ensure(sleeper, print)


def test_a_server_that_was_killed_is_up_again_when_the_new_process_listens(
    started: Callable[[int], Starter], folders: list[Path]
) -> None:
    part, starter, records = _server(pick_port(0)), started(0), Records(folders[0])
    starter.ensure(part, print)
    first = records.running("server")
    assert first is not None
    os.kill(first.pid, 9)
    starter.ensure(part, print)
    second = records.running("server")
    assert second is not None
    assert second.pid != first.pid
    assert listens(second.pid, part.port)


def test_who_waits_for_a_part_stops_when_another_part_has_failed(started: Callable[[int], Starter]) -> None:
    starter, asked = started(0), []

    def fails(_: float) -> bool:
        asked.append(1)
        starter.give_up()
        return False

    with pytest.raises(TrainyardError, match="did not become ready"):
        starter.ensure(Part("server", ("sleep", "60"), fails, limit_seconds=100), print)
    assert asked == [1]


def test_of_a_port_where_nobody_listens_no_process_is_the_listener() -> None:
    assert wait_for(lambda: not listens(os.getsid(0), pick_port(0)), 120)
