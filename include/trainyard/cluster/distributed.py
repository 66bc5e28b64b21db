"""What the programs of several learners find of one another, in the words of torchrun, TensorFlow, MPI and of old."""

from __future__ import annotations

import json

from trainyard.cluster import volumes
from trainyard.cluster.run import PodRun
from trainyard.domain.launching import MPIRUN, starts_processes

# Where torch meets, and where the service of 2018 had TensorFlow's servers.
MASTER_PORT, TENSORFLOW_PORT = 29500, 2222
HOSTFILE = f"{volumes.HOME}/hostfile"
_TENSORFLOW = ("tensorflow", "keras")


def distributed(run: PodRun) -> dict[str, str]:
    """Return the variables of one of several learners, and of a command that mpirun starts; else none."""
    launched = by_mpirun(run)
    slots = max(run.plan.gpus, 1)
    found = {"LEARNER_HOSTFILE": HOSTFILE, "LEARNER_SLOTS": str(slots)} if run.several or launched else {}
    if launched:
        found["LEARNER_PROCESSES"] = str(run.plan.processes)
    if run.several:
        found |= {"LEARNER_HOSTS": ",".join(run.hosts), "LEARNER_TOGETHER": volumes.JOB}
        found |= _torchrun(run, slots) | ({} if launched else _one_process(run, slots) | _tensorflow(run))
    return found


def by_mpirun(run: PodRun) -> bool:
    """Say whether the service starts the command through mpirun, as that of 2018 did for MPI's frameworks."""
    return run.plan.launcher == MPIRUN and run.plan.processes > 1 and not starts_processes(run.spec.command)


def _torchrun(run: PodRun, slots: int) -> dict[str, str]:
    """Return what torchrun takes for the options that it is not given."""
    master, port = run.hosts[0], str(MASTER_PORT)
    return {
        "PET_NNODES": str(run.plan.learners),
        "PET_NODE_RANK": str(run.learner - 1),
        "PET_NPROC_PER_NODE": str(slots),
        "PET_MASTER_ADDR": master,
        "PET_MASTER_PORT": port,
        "MASTER_ADDR": master,
        "MASTER_PORT": port,
    }


def _one_process(run: PodRun, slots: int) -> dict[str, str]:
    """Return the rank of a learner that is one process; of more processes each has a rank of its own."""
    return {"RANK": str(run.learner - 1), "WORLD_SIZE": str(run.plan.learners)} if slots == 1 else {}


def _tensorflow(run: PodRun) -> dict[str, str]:
    if not run.spec.framework.name.lower().startswith(_TENSORFLOW):
        return {}
    workers = [f"{host}:{TENSORFLOW_PORT}" for host in run.hosts]
    task = {"type": "worker", "index": run.learner - 1}
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}
