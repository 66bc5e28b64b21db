"""An Airflow as it comes, with a generator file: its own home and database, on the same cluster and object store."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import psutil

from bench.stacks import object_store
from bench.tiny import Tiny
from trainyard.core.catalogue import Catalogue
from trainyard.local import parts
from trainyard.local.ports import pick_port
from trainyard.local.processes import end
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

Say = Callable[[str], None]
_START_SECONDS = 300


@dataclass(frozen=True)
class Stock:
    """One that runs. `started_in` is its cold start in seconds, without the setup of its database."""

    folder: Path
    environment: dict[str, str]
    pids: dict[str, int]
    started_in: float
    image: str

    def hand_in(self, name: str, job: Tiny, runs: bool = True) -> float:
        """Put a manifest into its folder; return when. One that does not run is only known."""
        aside = self.folder / f"{name}.aside"
        aside.write_text(json.dumps({"image": self.image, "command": job.command, "runs": runs}))
        shutil.copyfile(job.zip, self.folder / "model.zip")
        aside.replace(self.folder / "manifests" / f"{name}.json")
        return time.time()

    def started(self, name: str) -> float | None:
        """Return when the program of a manifest started, None while it has not."""
        try:
            return (self.folder / "runs" / name / "result" / "started").stat().st_mtime
        except FileNotFoundError:
            return None

    def known(self) -> int:
        """Count the DAGs in its database."""
        database = f"file:{self.folder}/airflow.db?mode=ro"
        with closing(sqlite3.connect(database, uri=True, timeout=30)) as opened:
            found: int = opened.execute("select count(distinct dag_id) from serialized_dag").fetchone()[0]
            return found

    def ended(self, names: Collection[str]) -> Counter[str]:
        """Count the runs that have ended, by how they did."""
        database = f"file:{self.folder}/airflow.db?mode=ro"
        with closing(sqlite3.connect(database, uri=True, timeout=30)) as opened:
            rows = opened.execute("select dag_id, state from dag_run where state in ('success', 'failed')").fetchall()
        return Counter(state for name, state in rows if name in names)

    def pool(self, slots: int) -> None:
        """Let so many trainings hold a GPU at a time."""
        _airflow(self.environment, "pools", "set", "bench", str(slots), "of the bench")


@contextmanager
def stock_airflow(stack: Stack, say: Say) -> Iterator[Stock]:
    """Start it beside a stack; a training must have been submitted there, whose image it takes."""
    folder = stack.folder / "stock"
    for name in ("dags", "manifests", "runs"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("stockdags.py"), folder / "dags" / "trainings.py")
    environment, port = _environment(stack, folder)
    _airflow(environment, "db", "migrate")
    begun, running = time.monotonic(), []
    try:
        for name in parts.AIRFLOW_PARTS:
            running.append(_start(parts.airflow(name, environment, port), folder))
        ready = [parts.airflow(name, environment, port).ready for name in parts.AIRFLOW_PARTS]
        assert wait_for(lambda: all(is_ready(0) for is_ready in ready), _START_SECONDS), f"see {folder}/log"
        took = time.monotonic() - begun
        say(f"stock Airflow started in {took:.1f} s")
        pids = dict(zip(parts.AIRFLOW_PARTS, (each.pid for each in running), strict=True))
        made = Stock(folder, environment, pids, took, _image(stack))
        made.pool(4)
        yield made
    finally:
        left = [each for child in running for each in (psutil.Process(child.pid), *_children(child.pid))]
        end(left, patience_seconds=15)
        for child in running:
            child.wait(15)


def _environment(stack: Stack, folder: Path) -> tuple[dict[str, str], int]:
    """Return only what an Airflow needs to be there twice on a machine, and the keys of the store and the cluster."""
    port = pick_port(0)
    base, secret = f"http://127.0.0.1:{port}", token_urlsafe(32)
    address, keys = object_store(stack)
    cluster = {"kube_config_path": str(stack.folder / "cluster" / "kubeconfig"), "namespace": "default"}
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONPATH"))}
    return {
        **plain,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__SECRET_KEY": secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": secret,
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": cluster}),
        "BENCH_ROOT": str(folder),
        "BENCH_STORE": address,
        "BENCH_KEY": keys.key_id,
        "BENCH_SECRET": keys.secret_key,
    }, port


def _start(part: parts.Part, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            part.command,
            env=part.environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _airflow(environment: dict[str, str], *words: str) -> None:
    command = (sys.executable, "-m", "airflow", *words)
    subprocess.run(command, env=environment, cwd=environment["AIRFLOW_HOME"], capture_output=True, check=True)


def _children(pid: int) -> list[psutil.Process]:
    return list(psutil.Process(pid).children(recursive=True))


def _image(stack: Stack) -> str:
    catalogue = Catalogue(stack.folder / "catalogue")
    training = catalogue.get(next(iter(catalogue.ids())))
    assert training is not None, "no training was submitted yet"
    return training.plan.image
