"""Look at a training's data without moving any of it."""

from __future__ import annotations

from trainyard.domain.training import TrainingSpec
from trainyard.steps.buckets import is_training_data
from trainyard.stores.base import Store, Why
from trainyard.stores.refusals import refusal
from trainyard.workspace.datasets import version_of


def version_now(spec: TrainingSpec, data: Store) -> str:
    """Return the version that the data has now; raise StoreError, EMPTY where there is none."""
    entries = [entry for entry in data.list() if is_training_data(spec, entry)]
    if not entries:
        raise refusal(Why.EMPTY, data.place, "read from")
    return version_of(entries)
