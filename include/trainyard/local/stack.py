"""The one-machine stack: object store, cluster and Airflow, started, looked at and stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from trainyard.errors import TrainyardError
from trainyard.local import parts, processes
from trainyard.local.environment import airflow_environment
from trainyard.local.external import ExternalCluster, external_connection, pods_left
from trainyard.local.inbox import make_inbox
from trainyard.local.objectkeys import open_accounts, store_environment
from trainyard.local.ports import PortReservations
from trainyard.local.private import make_private, private_files
from trainyard.local.records import Records
from trainyard.local.secrets import Secrets
from trainyard.local.starting import PortTakenError, Report, Starter
from trainyard.manifest.limits import load_limits
from trainyard.settings import limits_files, read_settings

_ROWS = (parts.OBJECT_STORE, parts.CLUSTER, *parts.AIRFLOW_PARTS, parts.SUPERVISOR)
_MOVES = 2
_FOLDERS = ("logs", "objects", "cluster", "workspace", "catalogue", "airflow")


class Stack:
    """The stack whose state is in one folder, usually `.trainyard`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._records = Records(self.folder)
        self._starter = Starter(self.folder, self._records)
        self._external = ExternalCluster(self.folder)

    def up(self, report: Report) -> None:
        """Start every part that does not run yet; say a line for each as it becomes ready.

        Where another program has taken a port, all parts are started again on other ones: each was told where the
        others are. Raise TrainyardError S500 with the last lines of its log if a part does not become ready, and if the
        folder belongs to another user.
        """
        with private_files(), self._lock():
            for _ in range(_MOVES):
                try:
                    self._start_all(report)
                except PortTakenError as taken:
                    report(f"{taken}; the stack takes other ports")
                    self._end_servers()
                else:
                    return
            self._start_all(report)

    def down(self, report: Report) -> int:
        """Stop every part and every training; return how many processes were ended. The state stays.

        Trainings on a cluster of the caller's are left alone there: what still runs is reported.
        """
        # It would start again what is ended here.
        self._end_alone(parts.SUPERVISOR)
        with self._lock():
            ended = self._end_servers()
            ended += parts.end_pods(self.folder / "cluster", grace_seconds=5)
            for name in self._records.all_running():
                self._records.forget(name)
                report(f"{name} stopped")
            self._report_external(report)
        return ended

    def status(self) -> dict[str, dict[str, Any]]:
        """Return part -> whether it runs, its pid and address, how often it was started again, how it last ended."""
        external = self._external.variable
        rows = {name: self._row(name) for name in _ROWS}
        if external:
            rows[parts.CLUSTER] |= {"state": "external", "address": external}
        return rows

    def processes(self) -> list[Any]:
        """Return every process that belongs to the stack's servers."""
        running = self._records.all_running().values()
        return processes.of_stack(self.folder, {each.pid: each.started for each in running})

    def supervised(self) -> dict[str, parts.Part]:
        """Return the parts that the supervisor starts again, as they are to be started now."""
        secrets, ports = Secrets.of(self.folder / "secrets.json"), self._records.known_ports()
        return {part.name: part for part in (*self._bases(ports, secrets), *self._airflow(ports, secrets))}

    def _start_all(self, report: Report) -> None:
        for name in _FOLDERS:
            (self.folder / name).mkdir(exist_ok=True)
        self._external.remember(external_connection(os.environ), runs=self._runs())
        secrets = Secrets.of(self.folder / "secrets.json")
        make_inbox(self.folder / "objects")
        self._write_account_keys(secrets)
        _provide_training_python(report)
        with PortReservations() as reservations:
            ports = self._records.ports(parts.USUAL_PORTS, reservations)
            address = f"http://127.0.0.1:{ports[parts.API_SERVER]}"
            client = {"url": address, "username": "admin", "password": secrets.password}
            self._withdraw(client)
            self._start_parts(ports, secrets, report)
            secrets.write(self.folder / "client.json", client)

    def _start_parts(self, ports: Mapping[str, int], secrets: Secrets, report: Report) -> None:
        """Start all parts side by side; the first one that fails ends the waits for the others."""
        self._starter.give_up(False)
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(self._starter.ensure, part, report) for part in self._bases(ports, secrets)]
            airflow = self._airflow(ports, secrets)
            try:
                self._migrate(airflow[0].environment, report)
                started = (*airflow, parts.supervisor(self.folder))
                waiting += [pool.submit(self._starter.ensure, part, report) for part in started]
                done, _ = wait(waiting, return_when=FIRST_EXCEPTION)
                failures = [error for each in done if (error := each.exception())]
            finally:
                # After a success nobody waits any more; Ctrl-C is not to wait for what starts.
                self._starter.give_up()
        if failures:
            raise next((each for each in failures if isinstance(each, PortTakenError)), failures[0])

    def _withdraw(self, client: Mapping[str, str]) -> None:
        """Remove what a command would find the service by, if it is not there any more: it holds a password."""
        file = self.folder / "client.json"
        if file.exists() and json.loads(file.read_text()) != client:
            file.unlink()

    def _runs(self) -> bool:
        return any(running.alive for running in self._records.all_running().values())

    def _end_servers(self) -> int:
        """End all processes of the stack but its trainings' and return how many there were."""
        # Trainings descend from the cluster's server, and are no longer anybody's descendants once that has ended.
        ended = self._end_alone(parts.SUPERVISOR) + self._end_alone(parts.CLUSTER)
        ended += processes.end(self.processes(), patience_seconds=15)
        self._starter.forget_ended()
        return ended

    def _end_alone(self, name: str) -> int:
        """End the process of one part and nothing that it started; return how many there were."""
        running = self._records.running(name)
        if running is None or not running.alive:
            return 0
        with suppress(psutil.NoSuchProcess):
            return processes.end([psutil.Process(running.pid)], patience_seconds=5)
        return 0

    def _report_external(self, report: Report) -> None:
        """Say what still runs on a cluster of the caller's."""
        if not (variable := self._external.variable):
            return
        report(f"trainings on the cluster of {variable} are not stopped")
        if variable != external_connection(os.environ):
            report(f"set {variable} to hear which pods run there")
            return
        environment = self._airflow(self._records.known_ports(), Secrets.of(self.folder / "secrets.json"))[
            0
        ].environment
        for line in pods_left(environment):
            report(line)

    def _row(self, name: str) -> dict[str, Any]:
        running, restarts = self._records.running(name), self._records.restarts(name)
        alive = running is not None and running.alive
        return {
            "state": "up" if alive else "down",
            "pid": running.pid if running and alive else None,
            "address": running.address if running and alive else "",
            "restarts": restarts.count,
            "last_exit": restarts.last_exit,
            "hindrance": restarts.hindrance,
        }

    def _bases(self, ports: Mapping[str, int], secrets: Secrets) -> tuple[parts.Part, ...]:
        """Return the parts that Airflow does not have to be set up for."""
        objects, port = self.folder / "objects", ports[parts.OBJECT_STORE]
        store = parts.object_store(objects, port, secrets.key_id, secrets.secret_key)
        if external_connection(os.environ):
            return (store,)
        return store, parts.cluster(self.folder / "cluster", ports[parts.CLUSTER])

    def _airflow(self, ports: Mapping[str, int], secrets: Secrets) -> tuple[parts.Part, ...]:
        """Return Airflow's parts, the api-server first."""
        port = ports[parts.API_SERVER]
        environment = airflow_environment(self.folder, port, secrets, ports[parts.OBJECT_STORE])
        return tuple(parts.airflow(name, environment, port) for name in parts.AIRFLOW_PARTS)

    def _write_account_keys(self, secrets: Secrets) -> None:
        """Open the object store to each account of quotas.yaml, and note the keys for the operator to hand out."""
        accounts = load_limits(*limits_files(read_settings(os.environ))).accounts
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
        with self._records.lock():
            yield


def _provide_training_python(report: Report) -> None:
    """Install the Python of trainings where it is missing; without it they have this machine's own and no framework."""
    from trainyard.local.training import prefix

    try:
        if prefix.ensure(prefix.usual_prefix()):
            report("training Python installed")
    except TrainyardError as error:
        report(f"{error.message}\n{error.hint} Until then trainings find this machine's Python, without a framework")
