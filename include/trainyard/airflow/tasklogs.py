"""Airflow's own logs of a run's steps, where Airflow keeps them as files."""

from __future__ import annotations

from pathlib import Path

from airflow.configuration import conf

from trainyard.stores.tree import remove


def remove_task_logs(dag_id: str, run_id: str) -> None:
    """Remove the logs of a run's steps; nothing is fine.

    Only files below `[logging] base_log_folder` in Airflow's usual layout are known here: logs that Airflow sends to a
    remote store, or names by a template of one's own, are that store's to remove.
    """
    for name in (dag_id, run_id):
        if "/" in name or name in ("", ".", ".."):
            return
    folder = Path(conf.get("logging", "base_log_folder")) / f"dag_id={dag_id}"
    remove(folder / f"run_id={run_id}")
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
