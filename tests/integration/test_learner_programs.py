"""Programs of several learners on simulated machines: what torchrun, TensorFlow's launcher and mpirun start there.

`make test-learners` has PyTorch, and mpi4py; without them plain sockets stand in for both.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from localkubeserver import ClusterServer, running_cluster
from unit.pod_samples import SMALL

from trainyard.cluster.diagnosis.learners import Patience, judge
from trainyard.cluster.learners import run_objects
from trainyard.cluster.podclient import TrainingPods
from trainyard.cluster.run import WorkspaceVolume
from trainyard.cluster.volumes import PLACES
from trainyard.domain.launching import MPIRUN, first_that_ends
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import Framework
from trainyard.workspace.layout import Workspace

_PROJECT = Path(__file__).parents[2]
PROGRAMS, ENVIRONMENT = _PROJECT / "tests" / "learners", _PROJECT / ".venv" / "learners"
_LIMIT_SECONDS, _POLL_SECONDS = 300, 0.1
_MIB = 1024**2
needs_mpirun = pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no mpirun on this machine")
needs_the_real_ones = pytest.mark.skipif(
    not (ENVIRONMENT / "ready").exists(), reason="make test-learners installs PyTorch and mpi4py"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "8", "--nodes", "4") as server:
        yield server


class Machines:
    """Trains a program on several of the cluster's machines to the end of all, as a run's pods do."""

    def __init__(self, cluster: ClusterServer, root: Path) -> None:
        self._pods = TrainingPods(cluster.core, "default")
        self._workspace, self.run = Workspace(root), Workspace(root).run(SMALL.key)

    def train(self, command: str, learners: int, framework: str = "pytorch", **plan: Any) -> Outcome:
        amounts = {"gpus": 0, "cpu_millis": 100, "memory": 512 * _MIB, "node_selector": {}, **plan}
        run = replace(
            SMALL,
            spec=replace(SMALL.spec, command=command, framework=Framework(framework, "2.9")),
            plan=replace(SMALL.plan, learners=learners, **amounts),
            namespace="default",
            volume=WorkspaceVolume(folder=str(self._workspace.root)),
            dataset_subpath="data",
            checkpoints_subpath="checkpoints",
            run_subpath=self._workspace.subpath(self.run.root),
            grace_seconds=1,
        )
        self._lay_out(learners, run.prefix)
        pods = self._pods.create_all(run_objects(run))
        try:
            return self._end(learners, len(pods), first_that_ends(command, {}, learners))
        finally:
            self._pods.remove_all(run.key)

    def log(self, number: int = 1) -> list[str]:
        """The lines of a learner, sorted, without what the wrapper says of the image."""
        lines = self.run.of_learner(number).training_log.read_text().splitlines()
        return sorted(line for line in lines if "trainyard: " not in line and "setpgid" not in line)

    def _lay_out(self, learners: int, prefix: str) -> None:
        shutil.copytree(PROGRAMS, self.run.model)
        each = map(self.run.of_learner, range(1, learners + 1))
        own = [folder for one in each for folder in (one.training_log.parent, one.state)]
        shared = (self.run.result, self._workspace.root / "data", self._workspace.root / "checkpoints")
        for folder in (*own, *shared):
            folder.mkdir(parents=True)
        self.run.make_job(prefix, PLACES)

    def _end(self, learners: int, count: int, lead: int) -> Outcome:
        """Wait until it is clear how the run has ended, as the trigger of its step does."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while time.monotonic() < deadline:
            found = {TrainingPods.learner(pod): pod for pod in self._pods.of_run(SMALL.key)}
            pods = [found.get(number) for number in range(1, learners + 1)]
            verdict = judge(pods, 0, 0, Patience(placement=_LIMIT_SECONDS, lead=lead), time.time())
            if verdict.outcome:
                assert verdict.outcome.code is None, (verdict.outcome.message, self.log(verdict.learner))
                return verdict.outcome
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"{count} learners do not end: {self.log()}")


@pytest.fixture
def machines(cluster: ClusterServer, tmp_path: Path) -> Machines:
    return Machines(cluster, tmp_path / "workspace")


def test_a_launcher_finds_what_torchrun_takes_and_all_processes_meet(machines: Machines) -> None:
    machines.train("python3 launch.py sums.py", 3, gpus=0)
    logs = [machines.log(number) for number in (1, 2, 3)]
    assert logs == [[f"learner {number} rank {number - 1} of 3 sum 6"] for number in (1, 2, 3)]


def test_processes_of_several_gpus_a_machine_have_ranks_of_their_own(machines: Machines) -> None:
    machines.train("python3 launch.py sums.py", 2, gpus=1)
    assert [machines.log(number)[0].split(" rank ")[1] for number in (1, 2)] == ["0 of 2 sum 3", "1 of 2 sum 3"]


def test_workers_learn_from_a_server_of_parameters_which_is_ended_after_them(machines: Machines) -> None:
    command = "PS_HOSTS_COUNT=1 python3 launcher.py python3 servers.py"
    outcome = machines.train(command, 3, "tensorflow")
    assert (outcome.exit_code, outcome.message) == (0, "")
    assert [machines.log(number) for number in (2, 3)] == [["worker 0 of 2 sum 3"], ["worker 1 of 2 sum 3"]]


@needs_mpirun
def test_mpirun_starts_a_process_a_gpu_on_all_machines_and_they_meet(machines: Machines) -> None:
    machines.train("python3 sums.py", 2, "horovod", gpus=2, launcher=MPIRUN)
    machine = {0: 1, 1: 1, 2: 2, 3: 2}
    assert machines.log() == [f"learner {machine[rank]} rank {rank} of 4 sum 10" for rank in range(4)]


@needs_the_real_ones
def test_torch_distributed_adds_up_with_gloo_over_three_machines_through_torchrun(machines: Machines) -> None:
    machines.train(f"PATH={ENVIRONMENT}/bin:$PATH OMP_NUM_THREADS=1 torchrun torch_gloo.py", 3, memory=2048 * _MIB)
    found = [machines.log(number)[-1] for number in (1, 2, 3)]
    assert found == [f"rank {rank} of 3 sum 6" for rank in range(3)]


@needs_the_real_ones
@needs_mpirun
def test_mpi4py_adds_up_over_two_machines_with_two_processes_each(machines: Machines) -> None:
    machines.train(f"{ENVIRONMENT}/bin/python mpi_allreduce.py", 2, "horovod", gpus=2, launcher=MPIRUN)
    machine = {0: 1, 1: 1, 2: 2, 3: 2}
    assert machines.log() == [f"learner {machine[rank]} rank {rank} of 4 sum 10" for rank in range(4)]
