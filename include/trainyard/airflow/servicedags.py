"""The options that all of the service's own DAGs have; a file of dags/ adds what is particular to one."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

# A second pass at the same time would do no harm, and no good either.
SERVICE_DAG: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,
    "is_paused_upon_creation": False,
    "tags": ["service"],
}


def watched(name: str, trigger: BaseEventTrigger) -> dict[str, Any]:
    """Return the options of a DAG whose runs a watcher in the triggerer starts."""
    asset = Asset(f"trainyard-{name}", watchers=[AssetWatcher(name, trigger=trigger)])
    return {**SERVICE_DAG, "schedule": [asset]}
