"""The parts of the one-machine stack as rows: command, environment and how to tell that it is ready."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard.errors import TrainyardError
from trainyard.local.processes import CLOCK_SECONDS
from trainyard.local.ready import answers, heartbeat

OBJECT_STORE = "object store"
CLUSTER = "cluster"
API_SERVER = "api-server"
SUPERVISOR = "supervisor"
AIRFLOW_PARTS = (API_SERVER, "scheduler", "dag-processor", "triggerer")
_LOG_SERVERS = ("scheduler", "triggerer")
GPUS, NODES = "TRAINYARD_LOCAL_GPUS", "TRAINYARD_LOCAL_NODES"
# What learner.sh looks at, to say in the run's log which image was not run.
IMAGE_NOT_RUN = "TRAINYARD_IMAGE_NOT_RUN"
_LOCALKUBE = (sys.executable, "-P", "-m", "localkube")
# A laptop without a GPU still has to run GPU trainings, on its cpus: as many at once as the shipped accounts own.
SIMULATED_GPUS = 5
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
    # The rest of the stack, with its secrets and the runs of others, is no business of a training.
    hidden = ("--hide", str(folder.parent), "--image-variable", IMAGE_NOT_RUN)
    nodes = ("--nodes", os.environ[NODES]) if NODES in os.environ else ()
    options = (*hidden, *_environment_options(os.environ), *_python_options(), *_gpu_options(os.environ), *nodes)
    command = (*_LOCALKUBE, "serve", "--folder", str(folder), "--port", str(port), *options)
    address = f"https://127.0.0.1:{port}"
    return Part(CLUSTER, command, lambda _: answers(f"{address}/readyz"), {}, address, 30, port)


def _python_options() -> tuple[str, ...]:
    """Name the Python of trainings, where it could be installed."""
    from trainyard.local.training import prefix

    found = prefix.usual_prefix()
    return ("--python", str(found), "--provides", prefix.IMAGE) if (found / "ready").exists() else ()


def _gpu_options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Tell the cluster which GPUs to hand out: as the setting says, else the machine's own, else simulated ones."""
    if GPUS in environ:
        return ("--gpus", environ[GPUS])
    if (visible := environ.get("CUDA_VISIBLE_DEVICES")) is None:
        return ("--gpus-if-none", str(SIMULATED_GPUS))
    devices = [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return ("--gpu-devices", ",".join(devices)) if devices else ("--gpus", str(SIMULATED_GPUS))


def _environment_options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give trainings this machine's search path, without the service's own commands."""
    own = {Path(sys.executable).parent, Path(sys.prefix) / "bin"} if sys.prefix != sys.base_prefix else set()
    path = [each for each in environ.get("PATH", os.defpath).split(os.pathsep) if Path(each) not in own]
    found = {name: environ[name] for name in ("HOME", "LANG") if name in environ}
    pairs = {**found, "PATH": os.pathsep.join(path)}
    return tuple(word for name, value in pairs.items() for word in ("--env", f"{name}={value}"))


def end_pods(folder: Path, grace_seconds: float) -> int:
    """End all pods of the local cluster and return how many ran.

    Raise TrainyardError S500 with the command's last words if they could not be ended.
    """
    command = [*_LOCALKUBE, "end-pods", "--folder", str(folder), "--grace", str(grace_seconds)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        words = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise TrainyardError("S500", "the local cluster's pods could not be ended", words)
    return int(done.stdout)


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
