"""What lies where in the buckets."""

from __future__ import annotations

from trainyard.domain.names import is_model_id
from trainyard.domain.training import TrainingSpec
from trainyard.stores.base import Entry, Store, Why
from trainyard.stores.refusals import refusal
from trainyard.workspace.datasets import version_of
from trainyard.workspace.layout import store_key

CHECKPOINTS = "_wml_checkpoints/"
PROBE = ".trainyard-probe-"
LEARNER = "learner-1"


def is_training_data(spec: TrainingSpec, entry: Entry) -> bool:
    """Say whether an object of the data bucket is data.

    Everything is, unless results go to the same bucket: what runs have stored there would make each of them a new
    dataset, larger than the one before.
    """
    if store_key(spec.data) != store_key(spec.results):
        return True
    top = entry.key.split("/")[0]
    return not (is_model_id(top) or entry.key.startswith((CHECKPOINTS, PROBE)))


def version_now(spec: TrainingSpec, data: Store) -> str:
    """Return the version that the data has now; raise StoreError, EMPTY where there is none."""
    entries = [entry for entry in data.list() if is_training_data(spec, entry)]
    if not entries:
        raise refusal(Why.EMPTY, data.place, "read from")
    return version_of(entries)
