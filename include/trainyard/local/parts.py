"""The parts of the one-machine stack as rows: command, environment and how to tell that it is ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard.local.processes import CLOCK_SECONDS
from trainyard.local.ready import answers, heartbeat

OBJECT_STORE = "object store"
CLUSTER = "cluster"
API_SERVER = "api-server"
SUPERVISOR = "supervisor"
AIRFLOW_PARTS = (API_SERVER, "scheduler", "dag-processor", "triggerer")
_LOG_SERVERS = ("scheduler", "triggerer")
GPUS = "TRAINYARD_LOCAL_GPUS"
# A laptop without a GPU still has to run GPU trainings, on its cpus: as many at once as the shipped accounts own.
_SIMULATED_GPUS = 5
USUAL_PORTS = {OBJECT_STORE: 9000, CLUSTER: 6443, API_SERVER: 8080}


@dataclass(frozen=True)
class Part:
    """One server of the stack.

    `ready` says whether the process that started then (in seconds of the epoch) answers; it is asked until it does or
    the limit passes, and believed only where `server`, this part itself by default, is what listens on `port`.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[float], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    limit_seconds: float = 120
    port: int = 0
    server: str = ""

    @property
    def own_port(self) -> int:
        """The port that the part itself listens on, 0 for none."""
        return 0 if self.server else self.port


def object_store(folder: Path, port: int, key: str, secret: str) -> Part:
    from trainyard.local.objectstore import find_rclone, keyed_objectstore

    address = f"http://127.0.0.1:{port}"
    command, environment = keyed_objectstore(find_rclone(), folder, port, key, secret)
    return Part(OBJECT_STORE, tuple(command), lambda _: answers(address), environment, address, 30, port)


def cluster(folder: Path, port: int) -> Part:
    module = (sys.executable, "-m", "localkube")
    # The rest of the stack, with its secrets and the runs of others, is no business of a training.
    hidden = ("--hide", str(folder.parent))
    options = (*hidden, *_python_options(), *_gpu_options(os.environ))
    command = (*module, "--folder", str(folder), "--port", str(port), *options)
    address = f"https://127.0.0.1:{port}"
    return Part(CLUSTER, command, lambda _: answers(f"{address}/readyz"), {}, address, 30, port)


def _python_options() -> tuple[str, ...]:
    """Name the Python of trainings, where it could be installed."""
    from trainyard.local.training import prefix

    found = prefix.usual_prefix()
    return ("--python", str(found), "--provides", prefix.IMAGE) if (found / "ready").exists() else ()


def _gpu_options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Tell the cluster how many GPUs to hand out: as the setting says, else the machine's own, else simulated ones."""
    from localkube.gpus import gpus_of_machine

    if GPUS in environ:
        return ("--gpus", environ[GPUS])
    return () if gpus_of_machine(environ) else ("--gpus", str(_SIMULATED_GPUS))


def airflow(name: str, environment: Mapping[str, str], port: int) -> Part:
    """Return one of Airflow's four processes; all but the api-server show their life by their heartbeat."""
    base = f"http://127.0.0.1:{port}"
    health = f"{base}/api/v2/monitor/health"
    command: tuple[str, ...] = (sys.executable, "-m", "airflow", name)
    if name == API_SERVER:
        command = (*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        return Part(name, command, lambda _: answers(health), environment, base, port=port)
    if name in _LOG_SERVERS:
        # They would serve task logs on every interface; here the api-server reads the files themselves.
        command = (*command, "--skip-serve-logs")

    def beats(started: float) -> bool:
        return heartbeat(health, name, started and started + CLOCK_SECONDS)

    return Part(name, command, beats, environment, port=port, server=API_SERVER)


def supervisor(folder: Path) -> Part:
    from trainyard.local.records import Records

    command = (sys.executable, "-m", "trainyard.local.supervisor", "--folder", str(folder))
    records = Records(folder)

    def ready(_: float) -> bool:
        running = records.running(SUPERVISOR)
        return running is not None and records.supervisor() == running.pid

    return Part(SUPERVISOR, command, ready, limit_seconds=30)
