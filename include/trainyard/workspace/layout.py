"""Where everything lies in the workspace, the volume that workers and training pods share."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from trainyard.domain.training import StoreRef
from trainyard.errors import TrainyardError


@dataclass(frozen=True)
class RunFolder:
    """The folders of one run. A pod sees these and its dataset, nothing else of the workspace."""

    root: Path

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def result(self) -> Path:
        return self.root / "result"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def training_log(self) -> Path:
        """The program's stdout and stderr, written by the wrapper in the pod."""
        return self.logs / "learner-1" / "training-log.txt"

    @property
    def started(self) -> Path:
        """Written by the wrapper the moment the program starts."""
        return self.state / "started"

    @property
    def has_started(self) -> bool:
        # A program may have made a link of it, which could lead anywhere.
        return os.path.lexists(self.started)

    @property
    def transfer(self) -> Path:
        """How far its data is, while it is moved; it lies where no program reaches it."""
        return self.root / "transfer.json"

    @property
    def attempts(self) -> Path:
        """The pods that the run has had; it lies where no program reaches it."""
        return self.root / "attempts"

    @property
    def stored(self) -> Path:
        """Written once everything is in the results bucket; it lies where no program reaches it."""
        return self.root / "stored"

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.model, self.result, self.logs, self.state)


@dataclass(frozen=True)
class Workspace:
    root: Path

    def run(self, model_id: str) -> RunFolder:
        # Folders are removed by this name, and Airflow lets people give a run an id of their own.
        if "/" in model_id or model_id.startswith("."):
            raise TrainyardError("C107", f"{model_id!r} is no model id", "Start the run without an id of your own.")
        return RunFolder(self.root / "runs" / model_id)

    def run_ids(self) -> dict[str, float]:
        """Return model id -> when its folder last changed (seconds since the epoch), of all run folders there are."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / "runs") as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_mtime for entry in entries}
        return {}

    def dataset(self, ref: StoreRef) -> Path:
        """The folder of all versions of a bucket's dataset."""
        return self.root / "datasets" / store_key(ref)

    def checkpoints(self, account: str, ref: StoreRef) -> Path:
        """The checkpoint folder that an account's runs with the same results bucket share."""
        return self.root / "checkpoints" / f"{account}-{store_key(ref)}"

    def subpath(self, path: Path) -> str:
        """Return the path relative to the volume, as a pod's subPath."""
        return path.relative_to(self.root).as_posix()


def store_key(ref: StoreRef) -> str:
    """Return a short stable name for store + bucket; a readable part and a digest of everything that tells apart."""
    told_apart = "\n".join((ref.kind, ref.endpoint, ref.region or "", ref.domain or "", ref.project or "", ref.bucket))
    return f"{ref.bucket[:40]}-{hashlib.sha256(told_apart.encode()).hexdigest()[:12]}"
