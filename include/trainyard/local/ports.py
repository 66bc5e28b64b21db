"""Ports on loopback: which are free, which are reserved for a stack that starts, and whose process listens on one."""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Self

import psutil

_NEAR = 50


class PortReservations:
    """Ports that no other stack of this machine takes meanwhile, although nobody listens on them yet.

    Airflow takes ten seconds from its start to its port, and stacks that start together would all find the usual one
    free. A reservation is an abstract Unix socket named for the port: one process has it, whoever its user is, and the
    system releases it when that process ends, however it ends.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def reserve(self, port: int) -> bool:
        """Reserve a port for this process; return False where another process has it."""
        if port in self._held:
            return True
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0trainyard-port-{port}")
        except OSError:
            held.close()
            return False
        self._held[port] = held
        return True

    def pick(self, usual: int) -> int:
        """Reserve and return the usual port if it is free, else one soon after it, else any free one.

        One near it first: what the system hands out by itself it also hands to clients, and a server that is started
        again would then find its port taken.
        """
        for candidate in (*range(usual, min(usual + _NEAR, 65536)), *(0,) * _NEAR):
            port = free_port(candidate)
            if port and port not in self._held and self.reserve(port):
                return port
        raise OSError("no free port on loopback")

    def release(self) -> None:
        while self._held:
            self._held.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def pick_port(usual: int) -> int:
    """Return the port that a stack that starts now would get in place of the usual one; nothing is reserved."""
    with PortReservations() as reservations:
        return reservations.pick(usual)


def free_port(port: int) -> int:
    """Return the port if nobody listens on it, any free one for 0, and 0 where there is none."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        chosen: int = probe.getsockname()[1]
        return chosen


def listens(leader: int, port: int) -> bool:
    """Say whether a process of the session that `leader` leads listens on a port of loopback.

    The system says whose socket it is: an answer alone could be any server's. Of other users' processes it says
    nothing, and those are not ours.
    """
    return any(_session(pid) == leader for pid in _listeners(port))


def _listeners(port: int) -> list[int]:
    found = psutil.net_connections("tcp")
    listening = (each for each in found if each.status == psutil.CONN_LISTEN and each.laddr.port == port)
    return [each.pid for each in listening if each.pid]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0
