"""What is remembered of the stack's servers between two commands: processes, restarts and ports."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainyard.local import processes
from trainyard.local.ports import PortReservations
from trainyard.local.restarts import Restarts


@dataclass(frozen=True)
class Running:
    """A server that was started; `started` is in seconds since the epoch."""

    pid: int
    started: float
    address: str

    @property
    def alive(self) -> bool:
        return processes.alive(self.pid, self.started)


class Records:
    """The records of one stack, in files of its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = folder / "running"
        self._ports = folder / "ports.json"
        self._restarts = folder / "restarts"
        self._supervisor = folder / "supervisor.pid"

    def running(self, name: str) -> Running | None:
        data = _read(self._file(name))
        return Running(**data) if data else None

    def all_running(self) -> dict[str, Running]:
        names = sorted(file.stem for file in self._running.glob("[!.]*.json"))
        return {name: running for name in names if (running := self.running(name))}

    def remember(self, name: str, running: Running) -> None:
        _write(self._file(name), asdict(running))

    def forget(self, name: str) -> None:
        for folder in (self._running, self._restarts):
            (folder / f"{name}.json").unlink(missing_ok=True)

    def restarts(self, name: str) -> Restarts:
        return Restarts(**_read(self._restarts / f"{name}.json"))

    def note_restarts(self, name: str, restarts: Restarts) -> None:
        _write(self._restarts / f"{name}.json", asdict(restarts))

    def supervisor(self) -> int:
        """Return the pid of the supervisor that last looked after the stack, 0 where none did."""
        return int(_read(self._supervisor).get("pid", 0))

    def note_supervisor(self, pid: int) -> None:
        _write(self._supervisor, {"pid": pid})

    def known_ports(self) -> dict[str, int]:
        """Return the port that each server had last."""
        return _read(self._ports)

    def ports(self, usual: Mapping[str, int], reservations: PortReservations) -> dict[str, int]:
        """Return the port of each server, reserved: the one it had, else the usual, else a free one.

        While any server runs, none that had a port gets another: the others were told where it is when they started.
        """
        known = self.known_ports()
        fixed = known if any(running.alive for running in self.all_running().values()) else {}
        for port in fixed.values():
            reservations.reserve(port)
        ports = {name: fixed.get(name) or reservations.pick(known.get(name, port)) for name, port in usual.items()}
        _write(self._ports, ports)
        return ports

    @contextmanager
    def lock(self, wait: bool = True) -> Iterator[None]:
        """Keep all who start and stop parts of one stack apart; raise BlockingIOError where `wait` is not wanted."""
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield

    def _file(self, name: str) -> Path:
        return self._running / f"{name}.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    return data


def _write(file: Path, data: Mapping[str, Any]) -> None:
    """Write a record so that nobody reads half of it."""
    file.parent.mkdir(exist_ok=True)
    aside = file.with_name(f".{file.name}")
    aside.write_text(json.dumps(data))
    aside.replace(file)
