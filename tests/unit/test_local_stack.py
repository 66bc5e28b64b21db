"""A whole stack comes up beside programs and stacks that want its ports; its servers here are small ones."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from trainyard.local import parts, processes
from trainyard.local.parts import API_SERVER, CLUSTER, OBJECT_STORE, Part
from trainyard.local.ports import free_port, listens, pick_port
from trainyard.local.ready import answers, wait_for
from trainyard.local.records import Records
from trainyard.local.secrets import Secrets
from trainyard.local.stack import Stack
from trainyard.local.starting import Report

# Ends where somebody else has its port, as Airflow's api-server does, after a while.
_SERVES = """
import http.server, sys, time
time.sleep(0.3)
http.server.test(port=int(sys.argv[1]), bind="127.0.0.1")
"""
_KINDS = (OBJECT_STORE, CLUSTER, API_SERVER)


class SmallStack(Stack):
    """The stack with a small server for each of its own that has a port, and one that sleeps for the scheduler."""

    def _bases(self, ports: Mapping[str, int], secrets: Secrets) -> tuple[Part, ...]:
        return _server(OBJECT_STORE, ports), _server(CLUSTER, ports)

    def _airflow(self, ports: Mapping[str, int], secrets: Secrets) -> tuple[Part, ...]:
        sleeper = Part("scheduler", ("sleep", "600"), lambda _: True, port=ports[API_SERVER], server=API_SERVER)
        return _server(API_SERVER, ports), sleeper

    def _migrate(self, environment: Mapping[str, str], report: Report) -> None:
        """There is no database."""


def _server(name: str, ports: Mapping[str, int]) -> Part:
    port = ports[name]
    address = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-c", _SERVES, str(port))
    return Part(name, command, lambda _: answers(address), address=address, limit_seconds=120, port=port)


def _prepare(folder: Path, usual: Mapping[str, int]) -> Path:
    folder.mkdir(parents=True, mode=0o700)
    (folder / "ports.json").write_text(json.dumps(usual))
    return folder


def _up(folder: Path, usual: Mapping[str, int], gate: Any) -> None:
    _prepare(folder, usual)
    gate.wait(120)
    SmallStack(folder).up(lambda _: None)


@pytest.fixture
def usual() -> dict[str, int]:
    first = pick_port(30000 + os.getpid() % 10000)
    return {name: pick_port(first + 100 * number) for number, name in enumerate(_KINDS)}


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Callable[[str], SmallStack]]:
    """Return a stack that is ended afterwards."""
    made: list[SmallStack] = []

    def stack(name: str) -> SmallStack:
        made.append(SmallStack(tmp_path / name / ".trainyard"))
        return made[-1]

    yield stack
    for each in made:
        each.down(lambda _: None)
        assert processes.of_stack(each.folder, {}) == []


def _own(folder: Path) -> dict[str, int]:
    """Return the ports of a stack, each of which its own process has to listen on."""
    records = Records(folder)
    ports, running = records.known_ports(), records.all_running()
    assert all(listens(running[name].pid, port) for name, port in ports.items())
    client = json.loads((folder / "client.json").read_text())
    assert client["url"] == f"http://127.0.0.1:{ports[API_SERVER]}"
    return ports


@pytest.mark.parametrize("taken", _KINDS)
def test_a_stack_whose_port_another_program_took_meanwhile_moves_as_a_whole(
    stacks: Callable[[str], SmallStack], usual: dict[str, int], taken: str
) -> None:
    """The other parts were told the port, and run on: all of them have to hear of the new one."""
    stack, stated = stacks("one"), list[str]()
    folder = _prepare(stack.folder, usual)
    stack.up(stated.append)
    before = Records(folder).all_running()
    os.kill(before[parts.SUPERVISOR].pid, 9)
    os.kill(before[taken].pid, 9)
    assert processes.alive(before["scheduler"].pid, before["scheduler"].started)
    assert wait_for(lambda: free_port(usual[taken]), 120)
    with socket.create_server(("127.0.0.1", usual[taken])):
        stack.up(stated.append)
        ports = _own(folder)
    assert ports[taken] != usual[taken]
    assert any("is taken by another program; the stack takes other ports" in line for line in stated)
    assert not before["scheduler"].alive


def test_a_stack_that_runs_keeps_its_ports_and_processes(
    stacks: Callable[[str], SmallStack], usual: dict[str, int]
) -> None:
    stack = stacks("one")
    folder = _prepare(stack.folder, usual)
    stack.up(print)
    before = stack.status()
    stack.up(print)
    assert stack.status() == before
    assert _own(folder) == usual


def test_three_stacks_that_come_up_at_once_are_each_their_own(
    stacks: Callable[[str], SmallStack], usual: dict[str, int]
) -> None:
    context = multiprocessing.get_context("spawn")
    gate, places = context.Barrier(3), [stacks(name).folder for name in ("one", "two", "three")]
    ups = [context.Process(target=_up, args=(folder, usual, gate)) for folder in places]
    for up in ups:
        up.start()
    for up in ups:
        up.join(400)
    assert [up.exitcode for up in ups] == [0, 0, 0]
    ports = [port for folder in places for port in _own(folder).values()]
    assert len(set(ports)) == len(ports) == 9
