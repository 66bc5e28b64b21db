"""The one-machine stack: object store, cluster and Airflow, started, looked at and stopped."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainyard.errors import TrainyardError
from trainyard.local import parts, processes
from trainyard.local.environment import airflow_environment
from trainyard.local.ports import pick_port
from trainyard.local.ready import wait_for
from trainyard.local.secrets import Secrets

Report = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """What is remembered of a part that was started."""

    pid: int
    started: float
    address: str

    @property
    def alive(self) -> bool:
        return processes.alive(self.pid, self.started)


class Stack:
    """The stack whose state is in one folder, usually `.trainyard`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def up(self, report: Report) -> None:
        """Start every part that does not run yet; say a line for each as it becomes ready.

        Raise TrainyardError S500 with the last lines of its log if a part does not become ready.
        """
        for name in ("logs", "objects", "cluster", "workspace", "catalogue", "airflow"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with self._lock():
            secrets = Secrets.of(self.folder / "secrets.json")
            ports = self._ports()
            environment = airflow_environment(self.folder, ports[parts.API_SERVER], secrets)
            with ThreadPoolExecutor() as pool:
                stores = [
                    parts.object_store(
                        self.folder / "objects", ports[parts.OBJECT_STORE], secrets.key_id, secrets.secret_key
                    ),
                    parts.cluster(self.folder / "cluster", ports[parts.CLUSTER]),
                ]
                waiting = [pool.submit(self._ensure, part, report) for part in stores]
                self._migrate(environment, report)
                names = parts.AIRFLOW_PARTS
                servers = [parts.airflow(name, environment, ports[parts.API_SERVER]) for name in names]
                waiting += [pool.submit(self._ensure, part, report) for part in servers]
                for part in waiting:
                    part.result()
            self._write_client(ports[parts.API_SERVER], secrets)

    def down(self, report: Report) -> int:
        """Stop every part and every training; return how many processes were ended. The state stays."""
        from trainyard.local.cluster.endpods import end_all_pods

        with self._lock():
            ended = processes.end(processes.of_stack(self.folder), patience_seconds=15)
            ended += end_all_pods(self.folder / "cluster", grace_seconds=5)
            for file in (self.folder / "running").glob("*.json"):
                report(f"{file.stem} stopped")
                file.unlink()
        return ended

    def status(self) -> dict[str, dict[str, Any]]:
        """Return part -> whether it runs, its pid and address."""
        names = (parts.OBJECT_STORE, parts.CLUSTER, *parts.AIRFLOW_PARTS)
        found = {name: self._running(name) for name in names}
        return {name: self._row(running) for name, running in found.items()}

    def _row(self, running: Running | None) -> dict[str, Any]:
        if running is None or not running.alive:
            return {"state": "down", "pid": None, "address": ""}
        return {"state": "up", "pid": running.pid, "address": running.address}

    def _ensure(self, part: parts.Part, report: Report) -> None:
        running = self._running(part.name)
        fresh = running is None or not running.alive
        if fresh:
            pid = processes.start(part.command, part.environment, self._log(part.name), self.folder)
            running = Running(pid, processes.started_at(pid), part.address)
            self._remember(part.name, running)
        assert running is not None
        pid_gone = [False]

        def settled() -> bool:
            pid_gone[0] = not running.alive
            return pid_gone[0] or part.ready()

        if not wait_for(settled, part.limit_seconds) or pid_gone[0]:
            raise TrainyardError("S500", f"{part.name} did not become ready", self._last_words(part.name))
        report(f"{part.name} {'ready' if fresh else 'is up'} {part.address}".rstrip())

    def _migrate(self, environment: dict[str, str], report: Report) -> None:
        mark = self.folder / "airflow" / "migrated"
        version = _installed_airflow()
        if mark.exists() and mark.read_text() == version:
            return
        log = self._log("migration")
        with log.open("ab") as output:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env={**os.environ, **environment, processes.MARK: str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise TrainyardError("S500", "Airflow's database could not be set up", self._last_words("migration"))
        mark.write_text(version)
        report("database ready")

    def _ports(self) -> dict[str, int]:
        """Return the port of each server: the one it has, else the one it had, else the usual, else a free one."""
        file = self.folder / "ports.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        taken = {name for name in parts.USUAL_PORTS if (found := self._running(name)) and found.alive}
        ports = {
            name: known[name] if name in taken and name in known else pick_port(known.get(name, usual))
            for name, usual in parts.USUAL_PORTS.items()
        }
        file.write_text(json.dumps(ports))
        return ports

    def _write_client(self, port: int, secrets: Secrets) -> None:
        address = {"url": f"http://127.0.0.1:{port}", "username": "admin", "password": secrets.password}
        secrets.write(self.folder / "client.json", address)

    def _running(self, name: str) -> Running | None:
        try:
            return Running(**json.loads(self._record(name).read_text()))
        except FileNotFoundError:
            return None

    def _remember(self, name: str, running: Running) -> None:
        self._record(name).parent.mkdir(exist_ok=True)
        self._record(name).write_text(json.dumps(asdict(running)))

    def _record(self, name: str) -> Path:
        return self.folder / "running" / f"{name}.json"

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name.replace(' ', '-')}.log"

    def _last_words(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"The end of {self._log(name)}:", *lines])

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep two ups and downs of one stack apart."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _installed_airflow() -> str:
    from importlib.metadata import version

    return version("apache-airflow")
