"""A running one-machine stack and the hands of a person who uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from trainyard.client.access import find_access
from trainyard.client.rest import RestClient
from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.local.demo import RESULTS_BUCKET, prepare
from trainyard.local.environment import PROJECT
from trainyard.local.parts import OBJECT_STORE, USUAL_PORTS
from trainyard.local.ports import pick_port
from trainyard.local.ready import wait_for
from trainyard.local.secrets import Secrets
from trainyard.local.stack import Stack
from trainyard.settings import read_settings
from trainyard.stores.opening import open_store

RUN_LIMIT_SECONDS = 300


def take_ports(stack: Stack, beyond: int) -> None:
    """Give a stack that was never started ports so far beyond the usual ones, and beyond those of other processes.

    A server that is started again needs its port back, and other tests start stacks too.
    """
    stack.folder.mkdir(parents=True, exist_ok=True)
    ports = {name: pick_port(port + beyond + os.getpid() % 1000) for name, port in USUAL_PORTS.items()}
    (stack.folder / "ports.json").write_text(json.dumps(ports))


@dataclass
class Yard:
    """A running stack and the hands of a person who uses it.

    Manifests may name stores on `hostile_port` and `spare_port` of this machine besides the stack's own, and notify
    what listens on `hook_port`.
    """

    stack: Stack
    hostile_port: int = 0
    spare_port: int = 0
    hook_port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def up(self, report: Callable[[str], None]) -> None:
        """Start what does not run of the stack, in the environment that it was first started in."""
        with pytest.MonkeyPatch.context() as environment:
            for name, value in self.environment.items():
                environment.setenv(name, value)
            self.stack.up(report)

    def kill(self, part: str) -> None:
        """Kill a part of the stack with all that it has started; it is started again by itself."""
        process = psutil.Process(self.stack.status()[part]["pid"])
        for each in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                each.kill()

    @property
    def folder(self) -> Path:
        return self.stack.folder

    @property
    def secrets(self) -> Secrets:
        return Secrets.of(self.folder / "secrets.json")

    @property
    def endpoint(self) -> str:
        ports = json.loads((self.folder / "ports.json").read_text())
        return f"http://127.0.0.1:{ports[OBJECT_STORE]}"

    def trainyard(self, *words: str, fails: bool = False, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command line; it has to end with 0, or with something else where `fails`."""
        done = subprocess.run(
            [sys.executable, "-m", "trainyard.cli.main", *words],
            cwd=self.folder.parent,
            env={key: value for key, value in os.environ.items() if not key.startswith("TRAINYARD_")},
            capture_output=True,
            text=True,
            input=stdin,
            timeout=RUN_LIMIT_SECONDS,
            check=False,
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done

    @contextmanager
    def started(self, *words: str, shown: Path, remarks: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Run the command line beside the test, what it prints into files, as a person does who goes on meanwhile."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TRAINYARD_")}
        command = [sys.executable, "-m", "trainyard.cli.main", *words]
        with shown.open("wb") as out, (remarks or Path(os.devnull)).open("wb") as err:
            process = subprocess.Popen(command, cwd=self.folder.parent, env=environment, stdout=out, stderr=err)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def data(self, *words: str, fails: bool = False) -> Any:
        return json.loads(self.trainyard(*words, "--output", "json", fails=fails).stdout)

    def submit(
        self, example: str, change: Callable[[str], str] = str, program: str | None = None, **fields: str
    ) -> str:
        """Submit an example, its manifest changed, its program replaced; return the model id.

        `fields` are those of the request beside them, such as `account`.
        """
        manifest, model = self.files(example, change, program)
        return self.service.submit([(manifest.name, manifest.read_bytes())], model, fields).model_id

    def files(self, example: str, change: Callable[[str], str] = str, program: str | None = None) -> tuple[Path, Path]:
        source = PROJECT / "examples" / example
        target = self.folder / "submissions" / os.urandom(4).hex()
        if program is not None:
            source = self._with_program(source, target, program)
        manifest, model = prepare(source, target, self.endpoint, self.secrets)
        manifest.write_text(change(manifest.read_text()))
        return manifest, model

    @staticmethod
    def _with_program(source: Path, target: Path, program: str) -> Path:
        changed = target / source.name
        (changed / "model").mkdir(parents=True)
        (changed / "manifest.yml").write_text((source / "manifest.yml").read_text())
        (changed / "model" / "train.py").write_text(program)
        return changed

    def run(self, model_id: str) -> dict[str, Any]:
        """Return what `trainyard show` reports of a run, without a process for each look."""
        return self.service.run(model_id).as_data()

    def log(self, model_id: str) -> str:
        """Return what `trainyard logs` shows of a run, without a process for each look."""
        with self.service.log(model_id) as (_, chunks):
            return b"".join(chunks).decode()

    @cached_property
    def service(self) -> RestClient:
        """The service as the command line asks it, for what is looked at until it is as wanted."""
        return RestClient(find_access(None, {}, self.folder.parent))

    def until(self, model_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a run is as wanted and return it."""
        last: dict[str, Any] = {}

        def reached() -> bool:
            last.update(self.run(model_id))
            return condition(last)

        assert wait_for(reached, RUN_LIMIT_SECONDS), last
        return last

    def finished(self, model_id: str) -> dict[str, Any]:
        return self.until(model_id, lambda run: run["finished_at"] is not None)

    def bucket(self, name: str = RESULTS_BUCKET) -> Any:
        secrets = self.secrets
        ref = StoreRef("s3", name, self.endpoint)
        return open_store(ref, Credentials(secrets.key_id, secrets.secret_key), read_settings({}), ANYWHERE)

    def let_end(self, model_id: str) -> None:
        """Let UNTIL_LET_END end, in a run that trains."""
        training_id = self.run(model_id)["training_id"]
        (self.folder / "workspace" / "runs" / training_id / model_id / "result" / "go").touch()

    def results(self, model_id: str) -> dict[str, int]:
        """Return what lies in the results bucket under a model id: name -> size."""
        found = self.bucket().list(f"{model_id}/")
        return {entry.key.removeprefix(f"{model_id}/"): entry.size for entry in found}

    def stored(self, model_id: str, name: str) -> str:
        return (self.folder / "objects" / RESULTS_BUCKET / model_id / name).read_text()

    @property
    def url(self) -> str:
        url: str = json.loads((self.folder / "client.json").read_text())["url"]
        return url

    def token(self, user: str) -> str:
        """Sign a user of the stack in."""
        password = json.loads((self.folder / "airflow" / "passwords.json").read_text())[user]
        answer = httpx.post(f"{self.url}/auth/token", json={"username": user, "password": password}, timeout=120)
        token: str = answer.json()["access_token"]
        return token

    def ask(self, user: str | None, verb: str, place: str, **options: Any) -> httpx.Response:
        """Ask the api-server as a user, or without a token as none."""
        if user and user not in self._tokens:
            self._tokens[user] = self.token(user)
        headers = {"Authorization": f"Bearer {self._tokens[user]}"} if user else {}
        return httpx.request(verb, self.url + place, headers=headers, timeout=120, **options)

    def send(self, verb: str, place: str, headers: dict[str, str]) -> httpx.Response:
        """Send an empty JSON object to the api-server, for somebody who has signed in before."""
        return httpx.request(verb, self.url + place, headers=headers, json={}, timeout=120)

    def airflow(self, place: str) -> Any:
        """Ask Airflow's own REST API, as its web page does."""
        answer = self.ask("admin", "GET", place)
        assert answer.status_code == 200, answer.text
        return answer

    def submit_as(self, user: str, account: str, program: str, change: Callable[[str], str] = str) -> str:
        """Submit a program as a user, through REST."""
        manifest, model = self.files("fails-with-3", change, program)
        files = {"manifest": manifest.read_bytes(), "zip": ("model.zip", model.read_bytes())}
        answer = self.ask(user, "POST", "/v3/models", files=files, data={"account": account})
        assert answer.status_code == 202, answer.text
        model_id: str = answer.json()["model_id"]
        return model_id

    def janitor_pass(self) -> dict[str, Any]:
        """Let the janitor look once, as it does every five minutes; return its report, without a failure."""
        runs = "/api/v2/dags/janitor/dagRuns"
        made = self.ask("admin", "POST", runs, json={"logical_date": None, "conf": {}}).json()
        place = f"{runs}/{made['dag_run_id']}"
        assert wait_for(lambda: self.airflow(place).json()["state"] in ("success", "failed"), RUN_LIMIT_SECONDS)
        report = self.airflow(f"{place}/taskInstances/remove_orphans/xcomEntries/return_value?deserialize=true").json()
        assert report["value"]["failed"] == []
        return dict(report["value"])

    def pods(self) -> list[str]:
        return self.kubectl("get", "pods", "-o", "name").split()

    def kubectl(self, *words: str) -> str:
        """Ask the cluster as whoever keeps it does; return what was answered."""
        command = ["kubectl", "--kubeconfig", str(self.folder / "cluster" / "kubeconfig"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
