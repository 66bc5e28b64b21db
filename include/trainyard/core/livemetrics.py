"""The metrics of runs that are going: read when somebody looks, in one thread, and never for long."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from stat import S_ISREG
from threading import Lock, Thread
from typing import Any

from trainyard.core.catalogue import Training
from trainyard.core.runs import Run
from trainyard.domain.metricrules import rules_of
from trainyard.domain.states import Phase
from trainyard.stores.base import StoreError, check_key
from trainyard.stores.tree import open_inside, status_inside
from trainyard.workspace.layout import RunFolder, Workspace
from trainyard.workspace.metrics.files import sources
from trainyard.workspace.metrics.readings import read_on
from trainyard.workspace.metrics.state import MetricsState, Progress, load, load_summary

# A run is read again after this long at the earliest, for so long at most; what is left is read with the next look.
_EVERY_SECONDS = 1.0
_SECONDS = 0.25
# After a reading the thread rests for so many times as long as that took: it takes a fifth of a core at most.
_REST = 4
_MAX_WAITING = 200
# Where programs write, in a run's folder.
_WRITTEN = ("logs/", "state/", "result/", "model/")
_GOING = (Phase.INSTALLING, Phase.TRAINING, Phase.STORING)
log = logging.getLogger(__name__)

# A run's training, its folder, and who waits for it to be read.
_Reading = tuple[str, RunFolder, "Future[None]"]


@dataclass
class LiveMetrics:
    """What is known of the metrics of runs; `training_of` finds a run's training."""

    workspace: Workspace
    training_of: Callable[[str], Training | None]
    clock: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    _asked: SimpleQueue[_Reading] = field(default_factory=SimpleQueue)
    _readings: dict[str, tuple[float, Future[None]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _thread: Thread | None = None

    def ask(self, run: Run) -> Future[None] | None:
        """Have a run read that is going; return what says when that is done, None where nothing is waited for."""
        folder = self._folder(run) if run.phase in _GOING else None
        return self._ask(run, folder) if folder else None

    def state(self, run: Run) -> MetricsState | None:
        """Return what was read of a run so far; None where the workspace has nothing of it."""
        folder = self._folder(run)
        return load(folder) if folder else None

    def summaries(self, run: Run) -> dict[str, int]:
        """Return the TensorBoard summaries of a run that is going, by their paths in its folder, with their sizes."""
        folder = self._folder(run) if run.phase in _GOING else None
        training = self.training_of(run.training_id)
        if folder is None or training is None:
            return {}
        names = sources(folder.root, rules_of(training.spec.metrics, training.spec.metric_patterns)).summaries
        found = {}
        for name, _ in names:
            with suppress(OSError):
                kind = status_inside(folder.root, name)
                if S_ISREG(kind.st_mode):
                    found[name] = kind.st_size
        return found

    def summary(self, run: Run, name: str, start: int, most: int) -> bytes | None:
        """Return what a summary has from a byte on; None where the run has none of that name."""
        folder = self._folder(run) if run.phase in _GOING else None
        if folder is None or not name.startswith(_WRITTEN) or "tfevents" not in name.rpartition("/")[2]:
            return None
        try:
            with open_inside(folder.root, check_key(name)) as file:
                file.seek(start)
                return file.read(most)
        except (OSError, StoreError):
            return None

    def newest(self, run: Run) -> tuple[Mapping[str, float], dict[str, Any] | None]:
        """Return the newest value of each metric of a run that is going, and its progress, without waiting for them."""
        folder = self._folder(run) if run.phase in _GOING else None
        if folder is None:
            return {}, None
        self._ask(run, folder)
        found = load_summary(folder)
        if not found:
            return {}, None
        values = {name: summary["last"] for name, summary in found["metrics"].items()}
        return values, self.progress(Progress(**found["progress"]), run)

    def progress(self, progress: Progress, run: Run) -> dict[str, Any] | None:
        """Return a run's progress, with the seconds left while its program goes on."""
        return progress.answer(run.running_at, self.clock() if run.phase is Phase.TRAINING else None)

    def _folder(self, run: Run) -> RunFolder | None:
        return self.workspace.run(run.key) if run.key.valid else None

    def _ask(self, run: Run, folder: RunFolder) -> Future[None] | None:
        """Have a run read, unless that was done just now, or too many wait for it."""
        now = time.monotonic()
        with self._lock:
            when, reading = self._readings.get(run.model_id, (-_EVERY_SECONDS, None))
            if reading is not None and (not reading.done() or now - when < _EVERY_SECONDS):
                return reading
            self._readings = {
                key: (at, one)
                for key, (at, one) in self._readings.items()
                if not one.done() or now - at < _EVERY_SECONDS
            }
            if len(self._readings) >= _MAX_WAITING:
                return None
            reading = Future()
            self._readings[run.model_id] = (now, reading)
            self._asked.put((run.training_id, folder, reading))
            if self._thread is None:
                # No pool: that one would be read to its end before the process may end.
                self._thread = Thread(target=self._work, name="metrics", daemon=True)
                self._thread.start()
        return reading

    def _work(self) -> None:
        while True:
            training_id, folder, reading = self._asked.get()
            began = time.monotonic()
            try:
                self._read(training_id, folder)
            except Exception:
                log.exception("The metrics in %s cannot be read.", folder.root)
            reading.set_result(None)
            self.pause((time.monotonic() - began) * _REST)

    def _read(self, training_id: str, folder: RunFolder) -> None:
        training = self.training_of(training_id)
        if training:
            with suppress(OSError):
                read_on(folder, rules_of(training.spec.metrics, training.spec.metric_patterns), _SECONDS)
