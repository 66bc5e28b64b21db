"""The one-machine stack: object store, cluster and Airflow, started, looked at and stopped."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainyard.errors import TrainyardError
from trainyard.intake.limits import load_limits
from trainyard.local import parts, processes
from trainyard.local.environment import airflow_environment
from trainyard.local.inbox import make_inbox
from trainyard.local.objectkeys import open_accounts, store_environment
from trainyard.local.private import make_private, private_files
from trainyard.local.records import Records, Running
from trainyard.local.secrets import Secrets
from trainyard.local.starting import Report, Starter
from trainyard.settings import read_settings

_FOLDERS = ("logs", "objects", "cluster", "workspace", "catalogue", "airflow")


class Stack:
    """The stack whose state is in one folder, usually `.trainyard`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._records = Records(self.folder)
        self._starter = Starter(self.folder, self._records)

    def up(self, report: Report) -> None:
        """Start every part that does not run yet; say a line for each as it becomes ready.

        Raise TrainyardError S500 with the last lines of its log if a part does not become ready, and if the folder
        belongs to another user.
        """
        with private_files(), self._lock():
            for name in _FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
            secrets = Secrets.of(self.folder / "secrets.json")
            ports = self._records.ports(parts.USUAL_PORTS)
            environment = airflow_environment(self.folder, ports[parts.API_SERVER], secrets, ports[parts.OBJECT_STORE])
            make_inbox(self.folder / "objects")
            self._write_account_keys(secrets)
            _provide_training_python(report)
            with ThreadPoolExecutor() as pool:
                waiting = [pool.submit(self._starter.ensure, part, report) for part in self._bases(ports, secrets)]
                self._migrate(environment, report)
                for name in parts.AIRFLOW_PARTS:
                    part = parts.airflow(name, environment, ports[parts.API_SERVER])
                    waiting.append(pool.submit(self._starter.ensure, part, report))
                for each in waiting:
                    each.result()
            address = f"http://127.0.0.1:{ports[parts.API_SERVER]}"
            client = {"url": address, "username": "admin", "password": secrets.password}
            secrets.write(self.folder / "client.json", client)

    def down(self, report: Report) -> int:
        """Stop every part and every training; return how many processes were ended. The state stays."""
        from trainyard.local.cluster.endpods import end_all_pods

        with self._lock():
            ended = processes.end(self.processes(), patience_seconds=15)
            self._starter.forget_ended()
            ended += end_all_pods(self.folder / "cluster", grace_seconds=5)
            for name in self._records.all_running():
                self._records.forget(name)
                report(f"{name} stopped")
        return ended

    def status(self) -> dict[str, dict[str, Any]]:
        """Return part -> whether it runs, its pid and address."""
        names = (parts.OBJECT_STORE, parts.CLUSTER, *parts.AIRFLOW_PARTS)
        return {name: _row(self._records.running(name)) for name in names}

    def processes(self) -> list[Any]:
        """Return every process that belongs to the stack's servers."""
        running = self._records.all_running().values()
        return processes.of_stack(self.folder, {each.pid: each.started for each in running})

    def _bases(self, ports: Mapping[str, int], secrets: Secrets) -> tuple[parts.Part, parts.Part]:
        """Return the parts that Airflow does not have to be set up for."""
        objects, port = self.folder / "objects", ports[parts.OBJECT_STORE]
        return (
            parts.object_store(objects, port, secrets.key_id, secrets.secret_key),
            parts.cluster(self.folder / "cluster", ports[parts.CLUSTER]),
        )

    def _write_account_keys(self, secrets: Secrets) -> None:
        """Open the object store to each account of quotas.yaml, and note the keys for the operator to hand out."""
        settings = read_settings(os.environ)
        names = (settings.frameworks_file, settings.sizes_file, settings.quotas_file)
        accounts = load_limits(*(Path(name) if name else None for name in names)).accounts
        store = store_environment(self.folder / "objects", secrets.key_id, secrets.secret_key)
        secrets.write(self.folder / "object-keys.json", open_accounts(store, accounts))

    def _migrate(self, environment: Mapping[str, str], report: Report) -> None:
        """Set up Airflow's database, unless this version of Airflow did so already."""
        mark = self.folder / "airflow" / "migrated"
        if mark.exists() and mark.read_text() == version("apache-airflow"):
            return
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        marked = {**os.environ, **environment, processes.MARK: str(self.folder)}
        with self._starter.log("migration").open("ab") as output:
            done = subprocess.run(
                command, env=marked, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        if done.returncode:
            raise TrainyardError(
                "S500", "Airflow's database could not be set up", self._starter.last_words("migration")
            )
        mark.write_text(version("apache-airflow"))
        report("database ready")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep two ups and downs of one stack apart."""
        make_private(self.folder)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _provide_training_python(report: Report) -> None:
    """Install the Python of trainings where it is missing; without it they have this machine's own and no framework."""
    from trainyard.local.training import prefix

    try:
        if prefix.ensure(prefix.usual_prefix()):
            report("training Python installed")
    except TrainyardError as error:
        report(f"{error.message}\n{error.cure} Until then trainings find this machine's Python, without a framework")


def _row(running: Running | None) -> dict[str, Any]:
    if running is None or not running.alive:
        return {"state": "down", "pid": None, "address": ""}
    return {"state": "up", "pid": running.pid, "address": running.address}
