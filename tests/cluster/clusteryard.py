"""Runs on the cluster under test, from their submission to the cleanup, as a test handles them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflowprocess import AirflowProcess
from clustertarget import Target
from clusterwait import wait_for
from yardhands import Hands

from trainyard.cluster.labels import ACCOUNT, MODEL_ID
from trainyard.core.catalogue import Training
from trainyard.domain.checkpointing import Checkpointing
from trainyard.domain.limits import Account, FrameworkImage, Limits, Size
from trainyard.domain.names import RunKey, new_model_id
from trainyard.domain.outcome import Outcome
from trainyard.domain.plan import make_plan
from trainyard.domain.training import Framework, Resources, StoreRef, TrainingSpec
from trainyard.workspace.layout import Workspace

MIB = 1024**2
DATA = "digits"  # a folder in the dataset
_VERSION = "1"
MAX_GPUS = 1000  # more than any node has
_TOLERATED = ({"key": "nvidia.com/gpu", "operator": "Exists"},)


class ClusterYard:
    """Submits runs; `pods` are all that there are of this session, whoever made them."""

    def __init__(self, core: Any, target: Target, airflow: AirflowProcess, hands: Hands, account: str) -> None:
        self.core = core
        self.target = target
        self.airflow = airflow
        self.hands = hands
        self.account = account
        self.workspace = Workspace(Path("/"))
        self.runs: list[ClusterRun] = []

    def submit(self, command: str, **wanted: Any) -> ClusterRun:
        """Register a run and stage it. What is wanted may be `gpus`, `memory` (in bytes), `node`, `image`, `custom`."""
        training = self._training(command, **wanted)
        run = ClusterRun(self, training.id)
        folders = [self.workspace.subpath(folder) for folder in self.workspace.run(run.key).folders]
        self.hands.make(*folders, f"{self.dataset}/{_VERSION}/{DATA}", self.checkpoints)
        self.airflow.ask("submit", training=training.as_dict(), version=_VERSION)
        self.runs.append(run)
        return run

    @property
    def dataset(self) -> str:
        """The folder of the data of all runs, no other session's."""
        return self.workspace.subpath(self.workspace.dataset(self._store))

    @property
    def checkpoints(self) -> str:
        return self.workspace.subpath(self.workspace.checkpoints(self.account, self._store))

    @property
    def _store(self) -> StoreRef:
        return StoreRef("s3", self.account, "https://objects.example.com")

    def _training(
        self, command: str, *, gpus: int = 0, memory: int = 256 * MIB, node: str = "", image: str = "", custom: str = ""
    ) -> Training:
        selector = {"kubernetes.io/hostname": node} if node else {}
        tolerations = _TOLERATED if gpus else ()
        size = Size("wanted", gpus, 100, memory, node_selector=selector, tolerations=tolerations)
        limits = Limits(
            frameworks=(FrameworkImage("suite", "1", image or self.target.image, "python3"),),
            sizes={"wanted": size},
            accounts={self.account: Account(self.account, MAX_GPUS, ("ada",), 1, custom_images=True)},
        )
        framework = Framework("custom", custom) if custom else Framework("suite", "1")
        stores = (self._store, self._store)
        # Tests reach into a run by the folder that all of them have in common.
        shared = Checkpointing(shared=True)
        spec = TrainingSpec("suite", framework, command, Resources(size="wanted"), *stores, checkpoint=shared)
        plan = make_plan(spec, limits.accounts[self.account], limits)
        return Training(new_model_id(), self.account, "ada", time.time(), spec, plan, "0" * 64)

    def pods(self) -> list[Any]:
        found: list[Any] = self.core.list_namespaced_pod(
            self.target.namespace, label_selector=f"{ACCOUNT}={self.account}"
        ).items
        return found

    def clean_up(self) -> None:
        """Remove what the runs made, as their cleanup does, and see that nothing of it is left."""
        from trainyard.cluster.podclient import TrainingPods

        self.airflow.kill_all()
        pods = TrainingPods(self.core, self.target.namespace)
        for run in self.runs:
            pods.remove_all(run.key)
        if self.runs:
            trainings = (self.workspace.training(run.model_id) for run in self.runs)
            self.hands.remove(self.checkpoints, *map(self.workspace.subpath, trainings))
        self.runs.clear()
        wait_for(lambda: not self.pods(), "the cluster without a pod of the tests", self.target.patience)

    def folder_of(self, run: ClusterRun) -> str:
        return self.workspace.subpath(self.workspace.run(run.key).root)


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

    def until(self, *phases: str) -> Any:
        """Return the run's newest pod once it is in one of these phases."""

        def reached() -> Any:
            return next((pod for pod in self.pods() if pod.status.phase in phases), None)

        return wait_for(reached, f"a pod of {self.model_id} that is {' or '.join(phases)}", self._limit)

    def until_logged(self, word: str) -> Any:
        """Return the run's pod once its program has printed a word."""
        pod = self.until("Running", "Succeeded", "Failed")
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
