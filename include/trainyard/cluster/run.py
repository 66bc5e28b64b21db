"""What a pod is made from: one learner of one attempt of one run, and where its workspace comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from trainyard.cluster.names import priority_class
from trainyard.domain.names import RunKey, learner_name, pod_name
from trainyard.domain.plan import Plan
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.settings import Settings

_CLAIM = "claim:"
_GIB = 1024**3


@dataclass(frozen=True)
class WorkspaceVolume:
    """The volume that pods mount as workspace: a claim of their namespace, or a folder of their node."""

    claim: str | None = None
    folder: str | None = None

    @classmethod
    def of(cls, setting: str, workspace: str) -> WorkspaceVolume:
        """Read the setting `workspace_volume`: `claim:NAME` or a folder; empty means the workers' own folder.

        Raise TrainyardError S500 for a folder that is not absolute, which no node could find.
        """
        if setting.startswith(_CLAIM):
            return cls(claim=setting.removeprefix(_CLAIM))
        folder = setting or workspace
        if not PurePosixPath(folder).is_absolute():
            hint = "Set TRAINYARD_WORKSPACE_VOLUME to claim:NAME or to an absolute path."
            raise TrainyardError("S500", f"pods cannot mount {folder!r}: the path is relative.", hint)
        return cls(folder=folder)

    def __str__(self) -> str:
        return f"{_CLAIM}{self.claim}" if self.claim is not None else str(self.folder)


@dataclass(frozen=True)
class PodRun:
    """One learner, counted from 1, of one attempt of one run. The subpaths are relative to the volume and are there.

    That of the environment is empty where the program has no requirements; one that is ready is mounted to be read.

    `user` and `group` are those of the Airflow workers, so that both can write and remove in the workspace. What a run
    may write to /tmp and HOME is `scratch`, what its log keeps of its output `log_bytes`, both in bytes. `trial` is its
    number in a search. The `priority_class` is the account's, empty where the cluster counts no quotas, and `queue` is
    Kueue's; `resume_from` the name of the checkpoint to go on from, empty where the program is to begin.
    """

    key: RunKey
    attempt: int
    spec: TrainingSpec
    plan: Plan
    namespace: str
    volume: WorkspaceVolume
    dataset_subpath: str
    run_subpath: str
    checkpoints_subpath: str
    environment_subpath: str = ""
    environment_ready: bool = False
    grace_seconds: int = 30
    user: int = 50000
    group: int = 0
    scratch: int = 20 * _GIB
    log_bytes: int = _GIB
    read_only_root: bool = True
    priority_class: str = ""
    trial: int | None = None
    resume_from: str = ""
    watches_gpus: bool = False
    learner: int = 1
    queue: str = ""

    @property
    def several(self) -> bool:
        return self.plan.learners > 1

    @property
    def prefix(self) -> str:
        """What the names of all its learners' hosts begin with, and the name of the service that leads to them."""
        return pod_name(self.key, self.attempt)

    @property
    def name(self) -> str:
        """The name of the pod."""
        return learner_name(self.key, self.attempt, self.learner) if self.several else self.prefix

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which the learners reach one another, the first one's first."""
        return tuple(f"{self.prefix}-{index}.{self.prefix}" for index in range(self.plan.learners))

    @property
    def job_subpath(self) -> str:
        """The folder that the learners of the attempt see as `/job`: no file of an earlier attempt is in it."""
        return f"{self.run_subpath}/together/{self.prefix}"

    @property
    def learner_subpath(self) -> str:
        """Where the learner's own folders are: the first one has the run's."""
        return self.run_subpath if self.learner == 1 else f"{self.run_subpath}/learners/{self.learner}"


def pod_options(settings: Settings, account: str) -> dict[str, Any]:
    """Return the fields of a PodRun that settings decide."""
    return {
        "grace_seconds": settings.grace_seconds,
        "user": settings.pod_user,
        "group": settings.pod_group,
        "scratch": settings.pod_scratch_bytes,
        "log_bytes": settings.pod_log_bytes,
        "read_only_root": settings.pod_read_only_root,
        "priority_class": priority_class(settings.pod_priority_prefix, account),
        "queue": settings.kueue_queue,
    }
