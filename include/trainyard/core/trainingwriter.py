"""Writing trainings: zip, credentials, schedule, first runs and record; all of all trainings, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.checkedmanifest import APART_SECONDS, CheckedManifest
from trainyard.core.schedules import Entry, Schedules
from trainyard.core.search import study
from trainyard.core.search.deciding import Ledger
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.search.trials import trial_id
from trainyard.core.starts import Kind, Start
from trainyard.domain.earlier import Earlier
from trainyard.domain.hyperparameters import Value
from trainyard.domain.overrides import overrides
from trainyard.domain.schedule import Progress
from trainyard.domain.training import Submission


class Vault(Protocol):
    """Keeps the credentials of a training's two stores, encrypted."""

    def keep(self, training_id: str, submission: Submission) -> None: ...

    def forget(self, training_id: str) -> None: ...

    def read(self, training: Training) -> Earlier:
        """Return what is kept of a training that has been registered."""


@dataclass(frozen=True)
class TrainingWriter:
    """Writes trainings where they are kept."""

    catalogue: Catalogue
    schedules: Schedules
    vault: Vault

    def add(self, parts: Sequence[tuple[Training, CheckedManifest]], zip_path: Path) -> None:
        """Keep all of all trainings, or nothing: credentials of a training that is not there would stay for ever."""
        first = parts[0][0]
        try:
            self.catalogue.keep_zip(first.id, zip_path)
            for training, checked in parts:
                if training is not first:
                    self.catalogue.share_zip(training.id, first.id)
                self.vault.keep(training.id, checked.read.submission)
                self._schedule(training)
                self._keep_runs(training, checked.points)
            self.catalogue.add(*(training for training, _ in parts))
        except BaseException:
            for training, _ in parts:
                self.catalogue.remove(training.id)
                self.vault.forget(training.id)
                self.schedules.remove(training.id)
                self._searches.remove(training.id)
                for model_id in training.first_runs:
                    self.catalogue.starts.remove(model_id)
            raise

    def _keep_runs(self, training: Training, points: Sequence[Mapping[str, Value]]) -> None:
        """Keep what each of a training's first runs has of its own; they count once the record is there."""
        if search := training.spec.search:
            point, attrs = study.ask(search, (), 0, study.seed_of(search, training.id)) or ({}, {})
            self.catalogue.starts.register(_start(training, 0, point, Kind.TRIAL))
            self._searches.keep(training.id, Ledger(began_at=training.submitted_at, asked=1, attrs={0: attrs}))
        elif training.runs:
            self.catalogue.starts.register(
                *(_start(training, number, point, Kind.POINT) for number, point in enumerate(points))
            )

    @property
    def _searches(self) -> Ledgers:
        return Ledgers(self.catalogue.folder / SEARCHES)

    def _schedule(self, training: Training) -> None:
        if training.spec.schedule:
            self.schedules.keep(Entry(training.id, training.spec.schedule, Progress(training.submitted_at)))


def _start(training: Training, number: int, point: Mapping[str, Value], kind: Kind) -> Start:
    return Start(
        model_id=trial_id(training.id, number),
        training_id=training.id,
        owner=training.owner,
        started_at=training.submitted_at + number * APART_SECONDS,
        values=overrides(training.spec, point),
        kind=kind,
        trial=number if kind is Kind.TRIAL else None,
    )
