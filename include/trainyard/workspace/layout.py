"""Where everything lies in the workspace, the volume that workers and training pods share."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainyard.domain.names import RunKey, is_model_id
from trainyard.domain.training import StoreRef, TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.stores.tree import open_folders


@dataclass(frozen=True)
class RunFolder:
    """The folders of one run. A pod sees these and its dataset, nothing else of the workspace.

    Of several learners the first has the run's own; the others have logs and state in folders of theirs.
    """

    root: Path
    learner: int = 1

    def of_learner(self, number: int) -> RunFolder:
        """Return the folders of a learner, counted from 1; only its logs and its state are its own."""
        return self if number == 1 else RunFolder(self._learners / str(number), number)

    @property
    def learners(self) -> list[int]:
        """The numbers of the learners that have a folder."""
        try:
            names = os.listdir(self._learners)
        except OSError:
            names = []
        return [1, *sorted(int(name) for name in names if name.isascii() and name.isdecimal() and int(name) > 1)]

    @property
    def _learners(self) -> Path:
        return self.root / "learners"

    @property
    def together(self) -> Path:
        """Where several learners meet, with a folder for each attempt."""
        return self.root / "together"

    def make_job(self, attempt: str, places: Iterable[str]) -> None:
        """Make the folder that all learners of an attempt share, with the places that the rest is mounted at in it."""
        for place in places:
            (self.together / attempt / place).mkdir(parents=True, exist_ok=True)
        open_folders(self.together / attempt, 0o777)

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
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def copied(self) -> Path:
        """The checkpoints that are in the bucket while it trains; it lies where no program reaches it."""
        return self.root / "copied.json"

    @property
    def resume(self) -> Path:
        """The checkpoint of another run that it goes on from; it lies where no program reaches it."""
        return self.root / "resume"

    @property
    def training_log(self) -> Path:
        """The program's stdout and stderr, written by the wrapper in the pod."""
        return self.logs / f"learner-{self.learner}" / "training-log.txt"

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
    def dataset(self) -> Path:
        """Which dataset it was staged with; it lies where no program reaches it."""
        return self.root / "dataset"

    @property
    def stopped(self) -> Path:
        """Why the service has ended it early; it lies where no program reaches it."""
        return self.root / "stopped-early"

    @property
    def stored(self) -> Path:
        """Written once everything is in the results bucket; it lies where no program reaches it."""
        return self.root / "stored"

    @property
    def shown(self) -> Path:
        """How many bytes of its log stand in Airflow's log; it lies where no program reaches it."""
        return self.root / "shown"

    @property
    def metrics(self) -> Path:
        """What was read of its metrics so far; it lies where no program reaches it."""
        return self.root / "metrics"

    @property
    def metrics_summary(self) -> Path:
        """The newest value of each of its metrics; it lies where no program reaches it."""
        return self.root / "metrics.json"

    @property
    def alarms(self) -> Path:
        """What its watchdogs have said; it lies where no program reaches it."""
        return self.root / "alarms.json"

    @property
    def metrics_lock(self) -> Path:
        return self.root / "metrics.lock"

    @property
    def metrics_stored(self) -> Path:
        """The metrics as they go into the bucket; it lies where no program reaches it."""
        return self.root / "metrics.jsonl"

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.model, self.result, self.logs, self.state)


@dataclass(frozen=True)
class Workspace:
    root: Path

    def training(self, training_id: str) -> Path:
        """The folder of all runs of a training."""
        return self.root / "runs" / training_id

    def run(self, run: RunKey) -> RunFolder:
        """The folders of a run, below its training's: no run reaches another training's by the id it was given."""
        # Folders are removed by these names, and Airflow lets people give a run an id of their own.
        check_run(run)
        return RunFolder(self.training(run.training_id) / run.model_id)

    def trainings(self) -> dict[str, float]:
        """Return training id -> when its folder last changed (seconds since the epoch), of all that have one."""
        # What else somebody put there is theirs.
        return {name: changed for name, changed in _changes(self.root / "runs").items() if is_model_id(name)}

    def runs(self) -> dict[RunKey, float]:
        """Return run -> when its folder last changed (seconds since the epoch), of all run folders there are."""
        return {
            RunKey(training_id, name): changed
            for training_id in self.trainings()
            for name, changed in _changes(self.training(training_id)).items()
            if is_model_id(name)
        }

    def probe(self, name: str) -> RunFolder:
        """The folders of a probe pod, which belongs to no training."""
        return RunFolder(self.root / "probes" / name)

    def probes(self) -> dict[str, float]:
        """Return name -> when its folder last changed (seconds since the epoch), of all probes that left one."""
        return _changes(self.root / "probes")

    def dataset(self, ref: StoreRef) -> Path:
        """The folder of all versions of a bucket's dataset."""
        return self.root / "datasets" / store_key(ref)

    def checkpoints_of(self, run: RunKey, account: str, spec: TrainingSpec) -> Path:
        """The folder that a run has as CHECKPOINT_DIR: its own, or the one that it shares."""
        return self.checkpoints(account, spec.results) if spec.checkpoint.shared else self.run(run).checkpoints

    def checkpoints(self, account: str, ref: StoreRef) -> Path:
        """The checkpoint folder that an account's runs with the same results bucket share, where they ask for it."""
        return self.root / "checkpoints" / f"{account}-{store_key(ref)}"

    def environments(self, account: str) -> Path:
        """The folder of the Python environments that an account's runs have installed."""
        return self.root / "environments" / account

    def tracker_away(self, connection: str) -> Path:
        """Changed whenever the tracking server behind a connection was away."""
        return self.root / "tracking" / f"{connection}.away"

    def subpath(self, path: Path) -> str:
        """Return the path relative to the volume, as a pod's subPath."""
        return path.relative_to(self.root).as_posix()


def check_run(run: RunKey) -> None:
    """Raise TrainyardError C110 for a run whose id the service did not make."""
    if not run.valid:
        message = f"{run.model_id[:60]!r} is no model id of this service's"
        raise TrainyardError("C110", message, "Start the run without an id of your own.")


def _changes(folder: Path) -> dict[str, float]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return {entry.name: entry.stat(follow_symlinks=False).st_mtime for entry in entries}
    return {}


def store_key(ref: StoreRef) -> str:
    """Return a short stable name for store + bucket; a readable part and a digest of all that distinguishes it."""
    named = (ref.connection,) if ref.connection else ()
    place = (ref.kind, ref.endpoint, ref.region or "", ref.domain or "", ref.project or "", ref.bucket)
    below = (f"below {ref.prefix}",) if ref.prefix else ()
    identity = "\n".join((*place, *named, *below))
    return f"{ref.bucket[:40]}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def is_installing(run: RunFolder) -> bool:
    """Say whether the pod installs the program's requirements."""
    return os.path.lexists(run.state / "installing")


def started_at(run: RunFolder) -> float | None:
    """Return when the program started, in seconds since the epoch; None while it has not.

    The time is the file's own: what a program writes into it is not trusted, and a link is not followed.
    """
    try:
        return run.started.lstat().st_mtime
    except OSError:
        return None
