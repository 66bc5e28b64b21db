"""One run on the cluster under test, as a worker, a triggerer and the cluster have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from clusterwait import wait_for

from trainyard.cluster.environment import GPU
from trainyard.cluster.environment import LEARNER as CONTAINER
from trainyard.cluster.labels import LEARNER, MODEL_ID
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.quantity import quantity

if TYPE_CHECKING:
    from clusteryard import ClusterYard


class ClusterRun:
    """One run: `work` is what a worker does for its train step, `await_end` what the triggerer does afterwards."""

    def __init__(self, yard: ClusterYard, model_id: str) -> None:
        self._yard = yard
        self._airflow = yard.airflow
        self._limit = yard.target.patience
        self.model_id = model_id
        self.key = RunKey.first_of(model_id)

    # Airflow's side

    def train(self) -> Outcome:
        """Take the step through one try, from the worker to the end of its pod; return its outcome."""
        assert self.work() == "deferred", self._airflow.last_words()
        self.join(self.await_end())
        return self.outcome

    def work(self) -> str:
        """Let a worker begin the next try; return the step's state when it has let go of it."""
        self.join(self._airflow.start("work", run_id=self.model_id, dies=False))
        return self.state

    def work_and_die(self) -> int:
        """Let a worker begin the next try that dies once the cluster has the pod; return how it ended."""
        return self.join(self._airflow.start("work", run_id=self.model_id, dies=True))

    def lose(self) -> None:
        self._airflow.ask("lose", run_id=self.model_id)

    def await_end(self) -> int:
        """Start to wait in a triggerer; return its pid."""
        return self._airflow.start("await_end", run_id=self.model_id)

    def join(self, pid: int) -> int:
        return self._airflow.exit_code(pid, self._limit)

    def cancel(self) -> None:
        self._airflow.ask("cancel", run_id=self.model_id)

    def waits(self) -> str:
        stated: str = self._airflow.ask("waits", run_id=self.model_id)
        return stated

    @property
    def _reported(self) -> Mapping[str, Any]:
        reported: Mapping[str, Any] = self._airflow.ask("state", run_id=self.model_id)
        return reported

    @property
    def state(self) -> str:
        return str(self._reported["state"])

    @property
    def tries(self) -> int:
        return int(self._reported["tries"])

    @property
    def outcome(self) -> Outcome:
        """The outcome that the step left, or, where another try is due, what ended the last one."""
        reported = self._reported
        found = reported["outcome"] or reported["event"]
        assert found, self._airflow.last_words()
        return Outcome.from_dict(found)

    # The cluster's side

    def pods(self) -> list[Any]:
        return [pod for pod in self._yard.pods() if pod.metadata.labels.get(MODEL_ID) == self.model_id]

    def pod(self) -> Any:
        (only,) = self.pods()
        return only

    def learner(self, number: int) -> Any:
        """Return the pod of a learner; there has to be one attempt."""
        (found,) = [pod for pod in self.pods() if pod.metadata.labels.get(LEARNER) == str(number)]
        return found

    def until_all(self, phase: str) -> None:
        reached = f"all pods of {self.model_id} that are {phase}"
        wait_for(lambda: all(pod.status.phase == phase for pod in self.pods()), reached, self._limit)

    def until_all_logged(self, word: str) -> None:
        """Wait until the programs of all learners have printed a word."""
        for pod in self.pods():
            self.until_logged(word, pod.metadata.name)

    def until(self, *phases: str, name: str = "") -> Any:
        """Return the run's newest pod once it is in one of these phases."""

        def reached() -> Any:
            found = (pod for pod in self.pods() if pod.status.phase in phases)
            return next((pod for pod in found if name in ("", pod.metadata.name)), None)

        return wait_for(reached, f"a pod of {self.model_id} that is {' or '.join(phases)}", self._limit)

    def until_logged(self, word: str, name: str = "") -> Any:
        """Return the run's pod, or the one of the name, once its program has printed a word."""
        pod = self.until("Running", "Succeeded", "Failed", name=name)
        wait_for(lambda: word in self.printed(pod), f"{word!r} from {self.model_id}", self._limit)
        return pod

    def printed(self, pod: Any) -> str:
        return self._log_of(pod).data.decode()

    def followed(self, pod: Any) -> str:
        """Return the pod's log, followed from here to its end."""
        return b"".join(self._log_of(pod, follow=True).stream()).decode()

    def _log_of(self, pod: Any, **more: Any) -> Any:
        name, namespace = pod.metadata.name, pod.metadata.namespace
        return self._yard.core.read_namespaced_pod_log(name, namespace, _preload_content=False, **more)

    def until_gone(self) -> None:
        wait_for(lambda: not self.pods(), f"the end of the pods of {self.model_id}", self._limit)

    def read(self, path: str) -> str:
        """Return a file of the run's folder in the workspace."""
        return self._yard.hands.read(f"{self._yard.folder_of(self)}/{path}")


def take_away(core: Any, pod: Any) -> None:
    core.delete_namespaced_pod(pod.name, pod.namespace, grace_period_seconds=3)


def evict(core: Any, pod: Any) -> None:
    """Ask for the pod's going as `kubectl drain` does, without closing the node for everybody."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"gracePeriodSeconds": 3},
    }
    core.create_namespaced_pod_eviction(pod.name, pod.namespace, eviction)


def change_image(core: Any, pod: Any, image: str) -> None:
    """Give the container of a pod that has no node yet another image."""
    core.patch_namespaced_pod(pod.name, pod.namespace, {"spec": {"containers": [{"name": CONTAINER, "image": image}]}})


def missing_image(image: str) -> str:
    """Return the name of an image whose tag has never been pushed."""
    path, _, last = image.partition("@")[0].rpartition("/")
    name = last.partition(":")[0]
    return f"{path}/{name}:missing" if path else f"{name}:missing"


def gpu_node(core: Any) -> tuple[str, int]:
    """Return the node with the most GPUs and how many it has; skip where there is none."""
    from kubernetes.client import ApiException

    try:
        nodes = core.list_node().items
    except ApiException as error:
        pytest.skip(f"the nodes may not be listed: {error.status} {error.reason}")
    usable = [node for node in nodes if not node.spec.unschedulable]
    found = [(int(quantity((node.status.allocatable or {}).get(GPU, 0))), node) for node in usable]
    gpus, node = max(found, key=lambda each: each[0], default=(0, None))
    if not gpus:
        pytest.skip("the cluster has no GPU")
    return node.metadata.labels["kubernetes.io/hostname"], gpus
