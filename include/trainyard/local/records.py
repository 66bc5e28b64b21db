"""What is remembered of the stack's servers between two commands: processes and ports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trainyard.local import processes
from trainyard.local.ports import pick_port


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
    """The records of one stack, a file each in its folder."""

    def __init__(self, folder: Path) -> None:
        self._running = folder / "running"
        self._ports = folder / "ports.json"

    def running(self, name: str) -> Running | None:
        try:
            return Running(**json.loads(self._file(name).read_text()))
        except FileNotFoundError:
            return None

    def all_running(self) -> dict[str, Running]:
        names = sorted(file.stem for file in self._running.glob("*.json"))
        return {name: running for name in names if (running := self.running(name))}

    def remember(self, name: str, running: Running) -> None:
        self._running.mkdir(exist_ok=True)
        self._file(name).write_text(json.dumps(asdict(running)))

    def forget(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def ports(self, usual: Mapping[str, int]) -> dict[str, int]:
        """Return the port of each server: the one it had, else the usual, else a free one.

        While any server runs, none that had a port gets another: the others were told where it is when they started.
        """
        known = json.loads(self._ports.read_text()) if self._ports.exists() else {}
        told = known if any(running.alive for running in self.all_running().values()) else {}
        ports = {name: told.get(name) or pick_port(known.get(name, port)) for name, port in usual.items()}
        self._ports.write_text(json.dumps(ports))
        return ports

    def _file(self, name: str) -> Path:
        return self._running / f"{name}.json"
