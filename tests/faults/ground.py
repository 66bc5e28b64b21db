"""What a campaign stands on: a stack whose cluster can be made to fail and whose workspace can be filled."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from recordingapi import Forward, RecordingApi
from yard import Yard, take_ports

from faults.titles import is_idle, title
from trainyard.local.demo import put_data
from trainyard.local.stack import Stack

WORKSPACE_MIB = 256
_SETTINGS = {"TRAINYARD_DISK_RESERVE_BYTES": "16MiB", "TRAINYARD_GRACE_SECONDS": "5"}


class FaultyApi(RecordingApi):
    """A way to the cluster that answers with `status` instead for a while, 0 for a connection that is cut."""

    status: int | None = None

    def handle_error(self, *_: object) -> None:
        """Keep silent: connections break here all the time."""


class _Faulty(Forward):
    server: FaultyApi

    def note(self) -> None:
        """Write nothing down."""

    def _forward(self) -> None:
        status = self.server.status
        if status is None:
            super()._forward()
        elif status:
            self.send_error(status)
        else:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - http.server's names


class Ground:
    """A stack, the hands of a person, and the way to its cluster."""

    def __init__(self, folder: Path, bounded: bool) -> None:
        self.stack = Stack(folder / ".trainyard")
        self.yard = Yard(self.stack)
        self.bounded = bounded
        self.api: FaultyApi | None = None

    def up(self) -> None:
        """Start what does not run, and lead Airflow to the cluster by the way that can fail."""
        self.stack.up(lambda _: None)
        if self.api is None:
            self.api = FaultyApi(self._kubeconfig, _Faulty)
            threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.api.kubeconfig(self._kubeconfig)

    def down(self) -> None:
        self.stack.down(lambda _: None)
        if self.api is not None:
            self.api.shutdown()
            self.api.server_close()

    @property
    def workspace(self) -> Path:
        return self.stack.folder / "workspace"

    @property
    def _kubeconfig(self) -> Path:
        return self.stack.folder / "cluster" / "kubeconfig"

    def part(self, name: str) -> psutil.Process | None:
        """Return the process of a part of the stack, None where it does not run."""
        with suppress(psutil.Error):
            pid = self.stack.status()[name]["pid"]
            return psutil.Process(pid) if pid else None
        return None

    def steps(self) -> list[psutil.Process]:
        """Return the processes that run a step: supervisors, and the steps' own."""
        return [each for each in self._workers() if not is_idle(each)]

    def idle_workers(self) -> list[psutil.Process]:
        """Return the scheduler's workers that wait for a step."""
        return [each for each in self._workers() if is_idle(each)]

    def orphans(self) -> list[psutil.Process]:
        """Return the workers, at work or idle, of schedulers that have ended."""
        scheduler = self.part("scheduler")
        return [each for each in self._workers() if not scheduler or scheduler not in each.parents()]

    def _workers(self) -> list[psutil.Process]:
        return [each for each in self.stack.processes() if title(each).startswith("airflow worker")]

    def programs(self) -> list[tuple[psutil.Process, str]]:
        """Return the training programs that run, each with its run's model id."""
        found = ((each, _model_id(each)) for each in self.stack.processes())
        return [(process, model_id) for process, model_id in found if model_id]


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Start a stack whose workspace is bounded, where this machine allows that; stop it whatever happens.

    SIGTERM ends this program as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    workspace = folder / ".trainyard" / "workspace"
    workspace.mkdir(parents=True)
    bounded = _mounted("-t", "tmpfs", "-o", f"size={WORKSPACE_MIB}m,mode=0755", "tmpfs", str(workspace))
    there = Ground(folder, bounded)
    take_ports(there.stack, 14_000)
    os.environ.update(_SETTINGS)
    try:
        there.up()
        put_data(there.stack.folder / "objects")
        yield there
    finally:
        there.down()
        if bounded:
            subprocess.run(["umount", "--lazy", str(workspace)], check=False)


def _mounted(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


def _model_id(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        if "train.py" in process.cmdline() and process.name().startswith("python"):
            return str(process.environ().get("TRAINING_ID", ""))
    return ""
