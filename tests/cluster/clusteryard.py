"""Runs on the cluster under test, from their submission to the cleanup, as a test handles them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from airflowprocess import AirflowProcess
from clusterrun import ClusterRun
from clustertarget import Target
from clusterwait import wait_for
from yardhands import Hands

from trainyard.cluster.labels import ACCOUNT, MANAGED_BY, MODEL_ID, OURS
from trainyard.cluster.volumes import PLACES
from trainyard.core.catalogue import Training
from trainyard.domain.checkpointing import Checkpointing
from trainyard.domain.limits import Account, FrameworkImage, Limits, Size
from trainyard.domain.names import new_model_id, pod_name
from trainyard.domain.plan import make_plan
from trainyard.domain.training import Framework, Resources, StoreRef, TrainingSpec
from trainyard.workspace.layout import RunFolder, Workspace

MIB = 1024**2
DATA = "digits"  # a folder in the dataset
_VERSION = "1"
_ATTEMPTS = (1, 2)
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
        """Register a run and stage it. What is wanted may be `gpus`, `memory` (in bytes), `node`, `image`, `custom`,
        and how many `learners`.
        """
        training = self._training(command, **wanted)
        run = ClusterRun(self, training.id)
        folders = [self.workspace.subpath(folder) for folder in self._folders(run, training.plan.learners)]
        self.hands.make(*folders, f"{self.dataset}/{_VERSION}/{DATA}", self.checkpoints)
        self.airflow.ask("submit", training=training.as_dict(), version=_VERSION)
        self.runs.append(run)
        return run

    def _folders(self, run: ClusterRun, learners: int) -> list[Path]:
        """Return what the workers of an installation make, which the suite's have no workspace for."""
        folder = self.workspace.run(run.key)
        own = [each for number in range(2, learners + 1) for each in _own(folder.of_learner(number))]
        attempts = [folder.together / pod_name(run.key, attempt) for attempt in _ATTEMPTS]
        return [*folder.folders, *own, *(at / place for at in attempts * (learners > 1) for place in PLACES)]

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
        self,
        command: str,
        *,
        gpus: int = 0,
        memory: int = 256 * MIB,
        node: str = "",
        image: str = "",
        custom: str = "",
        learners: int = 1,
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
        spec = TrainingSpec(
            "suite", framework, command, Resources(size="wanted", nodes=learners), *stores, checkpoint=shared
        )
        plan = make_plan(spec, limits.accounts[self.account], limits)
        return Training(new_model_id(), self.account, "ada", time.time(), spec, plan, "0" * 64)

    def pods(self) -> list[Any]:
        found: list[Any] = self.core.list_namespaced_pod(
            self.target.namespace, label_selector=f"{ACCOUNT}={self.account}"
        ).items
        return found

    def services(self) -> list[Any]:
        """Return the services between the learners of the runs."""
        ids = {run.model_id for run in self.runs}
        found = self.core.list_namespaced_service(self.target.namespace, label_selector=f"{MANAGED_BY}={OURS}").items
        return [each for each in found if each.metadata.labels.get(MODEL_ID) in ids]

    def clean_up(self) -> None:
        """Remove what the runs made, as their cleanup does, and see that nothing of it is left."""
        from trainyard.cluster.podclient import TrainingPods

        self.airflow.kill_all()
        pods = TrainingPods(self.core, self.target.namespace)
        for run in self.runs:
            pods.remove_all(run.key)
        if self.runs:
            assert self.services() == []
            trainings = (self.workspace.training(run.model_id) for run in self.runs)
            self.hands.remove(self.checkpoints, *map(self.workspace.subpath, trainings))
        self.runs.clear()
        wait_for(lambda: not self.pods(), "the cluster without a pod of the tests", self.target.patience)

    def folder_of(self, run: ClusterRun) -> str:
        return self.workspace.subpath(self.workspace.run(run.key).root)


def _own(folder: RunFolder) -> tuple[Path, ...]:
    """Return what one of several learners does not share."""
    return folder.logs, folder.state
