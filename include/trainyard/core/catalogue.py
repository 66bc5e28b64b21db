"""The catalogue: every registered training as a record and its zip, side by side in one folder.

A training is registered the moment its record appears; the zip is written before it. Records never change, so a
reader may keep what it has read.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trainyard.core.deletions import Deletions
from trainyard.core.remembered import Remembered
from trainyard.core.starts import Start, Starts
from trainyard.domain.codeversion import CodeVersion
from trainyard.domain.hyperparameters import Value
from trainyard.domain.limits import Size
from trainyard.domain.names import RunKey
from trainyard.domain.overrides import overridden
from trainyard.domain.plan import Plan
from trainyard.domain.training import TrainingSpec

log = logging.getLogger(__name__)
_TICK_NS = 1_000_000_000


@dataclass(frozen=True)
class Training:
    """One registered training; `submitted_at` is in seconds since the epoch, `manifest` is masked text.

    `sizes` are those that a run of it may be triggered with, as they were when it was submitted;
    `origin` is the idempotency key that it was submitted with, `settings` are the hyperparameters that were set with
    it. One that has several runs from the beginning, a grid, has their model ids in order as `runs`, its own first; the
    point of each is its start. `code` is the git commit that its program was packed from.
    """

    id: str
    account: str
    owner: str
    submitted_at: float
    spec: TrainingSpec
    plan: Plan
    zip_sha256: str
    manifest: str = ""
    warnings: tuple[str, ...] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)
    experiment: str = ""
    origin: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)
    code: CodeVersion | None = None
    runs: tuple[str, ...] = ()

    @property
    def first_runs(self) -> tuple[str, ...]:
        """The model ids of the runs that it has from the beginning."""
        return self.runs or (self.id,)

    def of_run(self, given: Mapping[str, Any] | None) -> Training:
        """Return the training as a run has it that was triggered with the given values.

        Raise TrainyardError C110 with every value that cannot be used.
        """
        spec, plan = overridden(self.spec, self.plan, self.sizes, given or {})
        return replace(self, spec=spec, plan=plan)

    def without_texts(self) -> Training:
        """Return what lists look at, whose size does not depend on what was submitted."""
        spec = replace(self.spec, command="", description="", author=None, metrics={}, metric_patterns={})
        spec = replace(spec, hyperparameters={})
        return replace(self, spec=spec, manifest="", warnings=(), settings={}, code=None)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "spec": self.spec.as_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Training:
        """Read a record back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        parts = {
            "spec": TrainingSpec.from_dict(data["spec"]),
            "plan": Plan.from_dict(data["plan"]),
            "warnings": tuple(data.get("warnings", ())),
            "runs": tuple(data.get("runs", ())),
            "sizes": {name: Size.from_dict(size) for name, size in data.get("sizes", {}).items()},
            "code": CodeVersion.from_dict(data["code"]) if data.get("code") else None,
        }
        return cls(**{**known, **parts})


@dataclass
class _Listing:
    """What the folder held when it was `changed` (ns since the epoch); `records` once they were asked for."""

    changed: int
    ids: frozenset[str] = frozenset()
    records: Sequence[Training] | None = None


class Catalogue:
    """The trainings in one folder: `<id>.json` is the record, `<id>.zip` the model definition."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listing: _Listing | None = None

    @cached_property
    def starts(self) -> Starts:
        """The runs that were asked for beside the trainings' first ones."""
        # A folder of its own: the bundle looks at the other one whenever that changes.
        return Starts(self.folder / "starts")

    @cached_property
    def deletions(self) -> Deletions:
        """The runs that are deleted and can be brought back."""
        return Deletions(self.folder / "deleted")

    def values_of(self, run: RunKey, conf: object) -> Mapping[str, Any]:
        """Return what a run was given in the place of its manifest's values.

        The service's own word of it counts, and `conf`, what it was triggered with in Airflow, only where there is
        none. Values of other types than the manifest's, and names that it does not have, may be among the latter.
        """
        if start := self.start_of(run):
            return start.values
        return conf if isinstance(conf, Mapping) else {}

    def start_of(self, run: RunKey) -> Start | None:
        """Return what the service was asked to start; None for a run that it was not asked for."""
        start = self.starts.get(run.model_id)
        return start if start is not None and start.key == run else None

    def owner_of(self, run: RunKey, training: Training, triggered_by: str | None) -> str:
        """Return who started a run; `triggered_by` is who triggered it in Airflow, None where nobody did."""
        start = self.start_of(run)
        return start.owner if start else triggered_by or training.owner

    def as_named(self, run: RunKey, training: Training) -> Training:
        """Return a training under the name that a run of it has."""
        start = self.start_of(run)
        return replace(training, spec=replace(training.spec, name=start.name)) if start and start.name else training

    def zip_path(self, training_id: str) -> Path:
        return self.folder / f"{training_id}.zip"

    def record_path(self, training_id: str) -> Path:
        return self.folder / f"{training_id}.json"

    def keep_zip(self, training_id: str, source: Path) -> None:
        """Keep a zip for a training that is about to be registered."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = _aside(self.zip_path(training_id))
        shutil.copyfile(source, aside)
        aside.replace(self.zip_path(training_id))

    def share_zip(self, training_id: str, other_id: str) -> None:
        """Keep the zip that another training has; a hundred runs of one program take no more room than one."""
        try:
            os.link(self.zip_path(other_id), self.zip_path(training_id))
        except OSError:  # not every file system knows links
            self.keep_zip(training_id, self.zip_path(other_id))

    def add(self, *trainings: Training) -> None:
        """Register trainings. From here on they are known to everybody who looks.

        All of them are written before the first takes its name: what can fail has failed by then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for training in trainings:
            text = json.dumps(training.as_dict(), ensure_ascii=False, sort_keys=True)
            _aside(self.record_path(training.id)).write_text(text, encoding="utf-8")
        for training in trainings:
            path = self.record_path(training.id)
            _aside(path).replace(path)

    def mark_begun(self, training_id: str) -> None:
        """Note that the first run of a training is under way: from then on nothing but a person or schedule runs it."""
        with contextlib.suppress(FileExistsError):
            self._begun.mkdir(parents=True)
        (self._begun / training_id).touch()

    def has_begun(self, training_id: str) -> bool:
        return (self._begun / training_id).exists()

    def unbegun(self) -> frozenset[str]:
        """Return the registered trainings whose first run is still to come."""
        with contextlib.suppress(FileNotFoundError):
            return self.ids().difference(os.listdir(self._begun))
        return self.ids()

    def expected(self) -> set[RunKey]:
        """Return the runs that Airflow may not have yet and is going to have."""
        starts = map(self.starts.get, self.starts.pending())
        return {RunKey.first_of(each) for each in self.unbegun()} | {start.key for start in starts if start}

    @property
    def _begun(self) -> Path:
        # A folder of its own: the bundle looks at the other one whenever that changes.
        return self.folder / "begun"

    def ids(self) -> frozenset[str]:
        """Return the ids of all registered trainings, from the folder's listing alone."""
        return self._listed().ids

    def _listed(self) -> _Listing:
        """Return what the folder holds, listed again once it has changed."""
        try:
            changed = os.stat(self.folder).st_mtime_ns
        except FileNotFoundError:
            return _Listing(0)
        known = self._listing
        if known is None or known.changed != changed:
            found = (name for name in os.listdir(self.folder) if name.endswith(".json") and name[0] != ".")
            known = _Listing(changed, frozenset(name[:-5] for name in found))
            # Of two changes within a tick of its clock a file system shows one.
            self._listing = known if time.time_ns() - changed > _TICK_NS else None
        return known

    def zips(self) -> dict[str, float]:
        """Return id -> when it was last written (seconds since the epoch), of all zips, also half-written ones."""
        found: dict[str, float] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".zip"):
                    found[entry.name[:-4].lstrip(".")] = entry.stat().st_mtime
        return found

    def get(self, training_id: str) -> Training | None:
        """Return a training; None if it is not registered or its record is broken, which is logged."""
        path = str(self.record_path(training_id))
        # What was read once is remembered, but another process may have removed it since.
        return (_whole.get(path) or _found(path)) if os.path.isfile(path) else None

    def head(self, training_id: str) -> Training | None:
        """Return a training without its long texts, as `trainings` does; None where `get` does."""
        path = str(self.record_path(training_id))
        return _head(path) if os.path.isfile(path) else None

    def trainings(self) -> Sequence[Training]:
        """Return all registered trainings in no order: one listing, and of its records only new ones are read.

        They are without manifest, command, description, metrics and hyperparameters, which members make as long as they
        like: what all have together has to fit into memory.
        """
        listed = self._listed()
        if listed.records is None:
            paths = [f"{self.folder}/{training_id}.json" for training_id in listed.ids]
            listed.records = [record for record in map(_head, paths) if record]
        return listed.records

    def remove(self, training_id: str) -> None:
        """Forget a training: first its record, then its zip, with what was written of them only in part."""
        for path in (self.record_path(training_id), self.zip_path(training_id)):
            path.unlink(missing_ok=True)
            _aside(path).unlink(missing_ok=True)
        (self._begun / training_id).unlink(missing_ok=True)
        _heads.pop(str(self.record_path(training_id)), None)
        _whole.forget(str(self.record_path(training_id)))


def _aside(path: Path) -> Path:
    """Where a file is written before it takes its name; listings pass over it."""
    return path.with_name(f".{path.name}")


# Path -> record without its long texts, of what was read: lists look at every record. Ten thousand are about 30 MB;
# those that another process has removed stay until there are more than anybody keeps.
_heads: dict[str, Training] = {}
_MAX_HEADS = 50_000
# Whole records take about twice what their files do.
_whole = Remembered[Training](24 * 1024**2)


def _head(path: str) -> Training | None:
    known = _heads.get(path)
    if known is None and _found(path):
        known = _heads.get(path)
    return known


def _found(path: str) -> Training | None:
    """Read a record whole and remember it; None where there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        record = Training.from_dict(json.loads(text))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # One broken record must not take the list and the DAGs of all others with it.
        log.error("the record %s cannot be read and is passed over: %r", path, error)  # noqa: TRY400
        return None
    if len(_heads) >= _MAX_HEADS:
        _heads.clear()
    _heads[path] = record.without_texts()
    _whole.put(path, record, len(text))
    return record
