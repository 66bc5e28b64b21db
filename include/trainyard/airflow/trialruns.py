"""The runs of trials, as the front door reaches them: started, found, ended early."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.cluster.podclient import TrainingPods
from trainyard.core.accounts import SERVICE
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.livemetrics import LiveMetrics
from trainyard.core.runs import Run
from trainyard.core.search.trials import metric_among
from trainyard.core.service import History
from trainyard.core.starting import Asked, Starting
from trainyard.core.starts import Kind
from trainyard.domain.hyperparameters import Value
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.stores.base import Store
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.stopping import mark_stopped


@dataclass(frozen=True)
class ServedTrialRuns:
    """Trials over the service's own parts; `pods` reaches the cluster, `folder_of` a run's folder."""

    catalogue: Catalogue
    history: History
    starting: Starting
    metrics: LiveMetrics
    folder_of: Callable[[RunKey], RunFolder | None]
    pods: Callable[[], TrainingPods]
    grace_seconds: int
    results_of: Callable[[Training], Store]

    def values(self, model_id: str) -> Mapping[str, Value] | None:
        start = self.catalogue.starts.get(model_id)
        return start.values if start else None

    def start(self, training: Training, model_id: str, number: int, point: Mapping[str, Value]) -> None:
        asked = Asked(
            training_id=training.id,
            values=point,
            kind=Kind.TRIAL,
            trial=number,
            model_id=model_id,
            owner=training.owner,
        )
        self.starting.start(asked, SERVICE)

    def find(self, model_id: str) -> Run | None:
        return self.history.find(model_id)

    def curve(self, run: Run, metric: str) -> Sequence[tuple[float, float]]:
        """Return what is known of the metric; while the run goes on it is read again, and known at the next look."""
        self.metrics.ask(run)
        state = self.metrics.state(run)
        if state is None:
            return ()
        curves = {curve.name: curve for curve in state.curves.by_key.values()}
        found = curves.get(metric_among(metric, curves))
        return [(point.step, point.value) for point in found.rows()] if found else ()

    def end_early(self, run: Run, words: str) -> None:
        folder = self.folder_of(run.key)
        if folder is None:
            return
        mark_stopped(folder, words)
        pods = self.pods()
        for pod in pods.of_run(run.key):
            if "deletionTimestamp" not in pod["metadata"]:
                pods.stop(pod["metadata"]["name"], self.grace_seconds)

    def cancel(self, run: Run) -> None:
        left = self.catalogue.starts.left(run.model_id)
        if left and not self.starting.make(left):
            # Canceled once it is there: until then a cancel would wait for it.
            raise TrainyardError("C108", f"{run.model_id} is just being set up", "Try again in a few seconds.")
        self.history.cancel(run, SERVICE.name)

    def store(self, training: Training, name: str, data: Mapping[str, Any]) -> None:
        text = json.dumps(data, ensure_ascii=False, indent=1).encode()
        try:
            self.results_of(training).put(name, io.BytesIO(text), len(text))
        except OSError as error:
            raise TrainyardError("S303", f"{name} cannot be stored: {error}", "It is tried again.") from None
