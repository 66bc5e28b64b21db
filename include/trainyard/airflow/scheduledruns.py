"""The runs that schedules start, as Airflow's DAG runs of type `scheduled`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select, update

from trainyard.domain.names import RunKey

_ENDED = ("success", "failed")


class AirflowScheduledRuns:
    """Scheduled runs of trainings in Airflow's tables; `staged` returns the version of the data that a run has.

    A run's logical date is the moment it was due, and Airflow keeps one run of a DAG for a logical date: whoever asks
    for it twice, after a crash or from two services, gets one run.
    """

    def __init__(self, staged: Callable[[RunKey], str | None]) -> None:
        self._staged = staged

    def going(self, training_id: str) -> bool:
        mine = (DagRun.dag_id == training_id, DagRun.run_type == DagRunType.SCHEDULED, DagRun.state.not_in(_ENDED))
        with create_session() as session:
            return session.scalar(select(DagRun.id).where(*mine).limit(1)) is not None

    def held(self, training_id: str) -> bool:
        with create_session() as session:
            return bool(session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == training_id)))

    def release(self, training_id: str) -> None:
        """Take back a pause that somebody made in Airflow."""
        with create_session() as session:
            session.execute(update(DagModel).where(DagModel.dag_id == training_id).values(is_paused=False))

    def start(self, training_id: str, due: float) -> str | None:
        from airflow.api.common.trigger_dag import trigger_dag
        from airflow.exceptions import DagNotFound

        moment = datetime.fromtimestamp(due, UTC)
        with create_session() as session:
            same = select(DagRun.run_id).where(DagRun.dag_id == training_id, DagRun.logical_date == moment)
            if (known := session.scalar(same)) is not None:
                return known
            try:
                run = trigger_dag(
                    training_id,
                    triggered_by=DagRunTriggeredByType.TIMETABLE,
                    run_type=DagRunType.SCHEDULED,
                    logical_date=moment,
                    session=session,
                )
            except DagNotFound:
                return None
            return run.run_id if run else None

    def newest(self, training_id: str) -> str | None:
        mine = select(DagRun.run_id).where(DagRun.dag_id == training_id).order_by(DagRun.run_after.desc())
        with create_session() as session:
            return session.scalar(mine.limit(1))

    def trained_on(self, training_id: str) -> str | None:
        query = select(DagRun.run_id).where(DagRun.dag_id == training_id).order_by(DagRun.run_after.desc())
        with create_session() as session:
            runs = [RunKey(training_id, run_id) for run_id in session.scalars(query)]
        return next(filter(None, map(self._staged, runs)), None)
