"""The DAG bundle that mirrors the catalogue: one small file per training."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle

from trainyard.core.catalogue import Catalogue

_SUFFIX = ".py"
# A folder's time of change moves in steps; what was added in the step of the last listing is not missed this way.
_STEP_SECONDS = 2.0


class TrainingBundle(BaseDagBundle):
    """Render `<training id>.py` for every training in the catalogue and drop those that left it.

    One file a training, because one generator file for all is built and serialised again as a whole for every new
    training: 10 to 19 s among 1,000, against about 1 s this way. Records never change, so a listing of names tells all
    that is new: the refresh reads nothing that it has seen.
    """

    supports_versioning = False

    def __init__(self, *, catalogue: str, **kwargs: Any) -> None:
        self._changed_at: float | None = None
        self._catalogue = Catalogue(Path(catalogue))
        super().__init__(**kwargs)

    @property
    def path(self) -> Path:
        return self.base_dir / "trainings"

    @property
    def refresh_interval(self) -> int:
        return self._longest if self._changed_at is not None and self._changed_at == self._mtime() else 0

    @refresh_interval.setter
    def refresh_interval(self, seconds: int) -> None:
        self._longest = seconds

    def get_current_version(self) -> None:
        return None

    def initialize(self) -> None:
        """Make the folder and fill it: a worker on another machine than the dag-processor's never calls refresh."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Bring the folder up to the catalogue."""
        with self.lock():
            changed_at = self._mtime()
            settled = abs(time.time() - changed_at) > _STEP_SECONDS
            known, rendered = self._catalogue.ids(), self._rendered()
            for training_id in known - rendered:
                self._render(training_id)
            for training_id in rendered - known:
                self._file(training_id).unlink(missing_ok=True)
            self._changed_at = changed_at if settled else None

    def _mtime(self) -> float:
        try:
            return self._catalogue.folder.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _rendered(self) -> set[str]:
        with os.scandir(self.path) as found:
            return {entry.name.removesuffix(_SUFFIX) for entry in found if entry.name.endswith(_SUFFIX)}

    def _render(self, training_id: str) -> None:
        if self._catalogue.head(training_id) is None:
            return
        aside = self.path / f".{training_id}"
        aside.write_text(dag_file(training_id), encoding="utf-8")
        aside.replace(self._file(training_id))

    def _file(self, training_id: str) -> Path:
        return self.path / f"{training_id}{_SUFFIX}"


def dag_file(training_id: str) -> str:
    """Render the DAG file of a training: a call with its id, for the record is read where it was written.

    Nothing that a person wrote is ever evaluated.
    """
    return f"from trainyard.airflow.dag import registered_dag\n\ndag = registered_dag({training_id!r})\n"
