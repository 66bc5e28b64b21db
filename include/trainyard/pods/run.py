"""What a pod is made from: one attempt of one run, and where its workspace comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from trainyard.domain.plan import Plan
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError

_CLAIM = "claim:"


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
            cure = "Set TRAINYARD_WORKSPACE_VOLUME to claim:NAME or to an absolute path."
            raise TrainyardError("S500", f"pods cannot mount {folder!r}: the path is relative.", cure)
        return cls(folder=folder)


@dataclass(frozen=True)
class PodRun:
    """One attempt of one run. The subpaths are relative to the volume and exist already.

    `user` and `group` are those of the Airflow workers, so that both can write and remove in the workspace.
    """

    model_id: str
    training_id: str
    attempt: int
    spec: TrainingSpec
    plan: Plan
    namespace: str
    volume: WorkspaceVolume
    dataset_subpath: str
    run_subpath: str
    checkpoints_subpath: str
    grace_seconds: int = 30
    user: int = 50000
    group: int = 0
