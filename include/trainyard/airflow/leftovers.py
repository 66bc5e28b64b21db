"""What Airflow still holds of trainings and runs that are over: for housekeeping."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import delete, or_, select

from trainyard.airflow.endstates import ENDED_RUN
from trainyard.domain.names import RunKey
from trainyard.stores.tree import remove

_TRAININGS = "training-%"
# The service's own DAGs, in dags/.
OWN = ("housekeeping", "intake", "janitor", "notifications", "quotas", "retraining", "searches")


class AirflowLeftovers:
    """Runs and DAGs in Airflow's tables, whatever the catalogue says of them."""

    def runs(self) -> set[RunKey]:
        """Return all runs of trainings, also of those whose record is gone."""
        query = select(DagRun.dag_id, DagRun.run_id).where(DagRun.dag_id.like(_TRAININGS))
        with create_session() as session:
            return {RunKey(row.dag_id, row.run_id) for row in session.execute(query)}

    def has_runs(self) -> bool:
        """Say whether there is a run of any training."""
        with create_session() as session:
            return session.scalar(select(DagRun.id).where(DagRun.dag_id.like(_TRAININGS)).limit(1)) is not None

    def ends(self, runs: Collection[RunKey]) -> dict[RunKey, float | None]:
        """Return of the runs that there are when they ended, in seconds since the epoch; None while one is going."""
        columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.end_date, DagRun.updated_at)
        # By the columns that have an index.
        trainings, ids = {run.training_id for run in runs}, {run.model_id for run in runs}
        query = select(*columns).where(DagRun.dag_id.in_(trainings), DagRun.run_id.in_(ids))
        with create_session() as session:
            found = {RunKey(row.dag_id, row.run_id): _ended(row) for row in session.execute(query)}
        return {run: found[run] for run in runs if run in found}

    def trainings(self, before: float) -> set[str]:
        """Return the trainings that are DAGs, were not parsed since a moment and have no run that is going."""
        going = select(DagRun.dag_id).where(DagRun.state.not_in(ENDED_RUN))
        parsed = or_(DagModel.last_parsed_time.is_(None), DagModel.last_parsed_time < _moment(before))
        with create_session() as session:
            known = select(DagModel.dag_id).where(DagModel.dag_id.like(_TRAININGS), parsed)
            return set(session.scalars(known.where(DagModel.dag_id.not_in(going))))

    def forget_training(self, training_id: str) -> None:
        """Remove a DAG with all its runs and their logs."""
        from airflow.api.common.delete_dag import delete_dag
        from airflow.exceptions import DagNotFound

        with create_session() as session:
            for run_id in session.scalars(select(DagRun.run_id).where(DagRun.dag_id == training_id)).all():
                remove_task_logs(training_id, run_id)
            try:
                delete_dag(training_id, session=session)
            except DagNotFound:
                return

    def own_runs(self, before: float) -> list[tuple[str, str]]:
        """Return DAG id and run id of the runs of the service's own DAGs that ended before a moment."""
        ended = (DagRun.state.in_(ENDED_RUN), DagRun.end_date < _moment(before))
        query = select(DagRun.dag_id, DagRun.run_id).where(DagRun.dag_id.in_(OWN), *ended)
        with create_session() as session:
            return [(row.dag_id, row.run_id) for row in session.execute(query)]

    def forget_own_run(self, dag_id: str, run_id: str) -> None:
        remove_task_logs(dag_id, run_id)
        with create_session() as session:
            session.execute(delete(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


def _ended(row: Any) -> float | None:
    moment = row.end_date or row.updated_at
    return moment.timestamp() if str(row.state) in ENDED_RUN and moment else None


def _moment(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


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
