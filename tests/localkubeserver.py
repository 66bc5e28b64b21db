"""A local cluster for tests: a real server in a process of its own, spoken to with the real Kubernetes client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from localkube.runtime import end_all_pods

LIMIT = 300.0


def wait_for(condition: Callable[[], Any], what: str = "the condition", limit: float = LIMIT) -> Any:
    """Return the first true value of a condition, looked at until a limit, less often the longer it takes."""
    end, pause = time.monotonic() + limit, 0.02
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(pause)
        pause = min(1.1 * pause, 0.2)  # each look takes processor time of the server too
    raise AssertionError(f"{what} did not come true within {limit} s")


class ClusterServer:
    """One server process over one folder; `start` again after `kill` is the server's restart."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self._core: client.CoreV1Api | None = None

    def start(self) -> ClusterServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.unlink(missing_ok=True)
        self._core = None
        command = [sys.executable, "-m", "localkube", "serve", "--folder", str(self.folder), *self.options]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers, f"a server over {self.folder}")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        if not self.kubeconfig.exists():
            return False
        try:
            self.core.list_node(_request_timeout=5)
        except (ApiException, HTTPError):
            return False
        return True

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def core(self) -> client.CoreV1Api:
        """A client of the server that was started last: to read its kubeconfig for each look would take longer."""
        if self._core is None:
            self._core = client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))
        return self._core

    @property
    def url(self) -> str:
        return self.core.api_client.configuration.host

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(LIMIT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill(signal.SIGTERM)
        end_all_pods(self.folder, 0)

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl needs to find this cluster, and to keep its cache out of the working directory."""
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def kubectl(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=LIMIT, **more)

    # Pods

    def run(self, name: str, *command: str, **more: Any) -> client.V1Pod:
        """Create a pod of one container."""
        return self.core.create_namespaced_pod("default", pod(name, *command, **more))

    def pod(self, name: str) -> client.V1Pod | None:
        try:
            return self.core.read_namespaced_pod(name, "default")
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def until(self, name: str, *phases: str, limit: float = LIMIT) -> client.V1Pod:
        """Return the pod once it has one of these phases."""

        def reached() -> Any:
            found = self.pod(name)
            return found if found and found.status.phase in phases else None

        return wait_for(reached, f"pod {name} in phase {phases}", limit)

    def ended(self, name: str, limit: float = LIMIT) -> client.V1ContainerStateTerminated:
        """Return how the first container of a pod ended."""
        found = self.until(name, "Succeeded", "Failed", limit=limit)
        return found.status.container_statuses[0].state.terminated

    def waiting(self, name: str, reason: str) -> client.V1ContainerStateWaiting:
        def reached() -> Any:
            statuses = self.core.read_namespaced_pod(name, "default").status.container_statuses or []
            state = statuses[0].state.waiting if statuses else None
            return state if state and state.reason == reason and state.message else None

        return wait_for(reached, f"pod {name} waiting with {reason}")

    def log(self, name: str, **more: Any) -> str:
        answer = self.core.read_namespaced_pod_log(name, "default", _preload_content=False, **more)
        return answer.data.decode()

    def delete(self, name: str, grace: int | None = None) -> None:
        more = {} if grace is None else {"grace_period_seconds": grace}
        self.core.delete_namespaced_pod(name, "default", **more)

    def reasons(self, name: str) -> list[str]:
        """Return the reasons of a pod's events."""
        found = self.core.list_namespaced_event("default", field_selector=f"involvedObject.name={name}")
        return [event.reason for event in found.items]


def pod(name: str, *command: str, **more: Any) -> dict[str, Any]:
    """Return a pod of one container `base`; `container` and `spec` add to those parts, the rest to the metadata."""
    container = {"name": "base", "image": "any/image:1", "command": list(command), **more.pop("container", {})}
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 20,
        "containers": [container],
        **more.pop("spec", {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **more}, "spec": spec}


@contextmanager
def running_cluster(folder: Path, *options: str) -> Iterator[ClusterServer]:
    server = ClusterServer(folder, *options)
    try:
        yield server.start()
    finally:
        server.stop()


def status_of(url: str, headers: dict[str, str] | None = None) -> int:
    """Return the HTTP status of a GET that trusts any certificate."""
    import ssl

    context = ssl._create_unverified_context()
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, context=context, timeout=LIMIT) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
