"""The runs that schedules start, as Airflow's DAG runs of type `scheduled`."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

_ENDED = ("success", "failed")


class AirflowScheduledRuns:
    """Scheduled runs of trainings in Airflow's tables.

    A run's logical date is the moment it was due, and Airflow keeps one run of a DAG for a logical date: whoever asks
    for it twice, after a crash or from two services, gets one run.
    """

    def going(self, training_id: str) -> bool:
        mine = (DagRun.dag_id == training_id, DagRun.run_type == DagRunType.SCHEDULED, DagRun.state.not_in(_ENDED))
        with create_session() as session:
            return session.scalar(select(DagRun.id).where(*mine).limit(1)) is not None

    def held(self, training_id: str) -> bool:
        with create_session() as session:
            return bool(session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == training_id)))

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
        staged = (XComModel.dag_id == training_id, XComModel.task_id == "stage", XComModel.key == "dataset")
        query = select(XComModel).join(DagRun, DagRun.id == XComModel.dag_run_id).where(*staged)
        with create_session() as session:
            newest = session.scalar(query.order_by(DagRun.run_after.desc()).limit(1))
            return None if newest is None else str(XComModel.deserialize_value(newest)).rpartition("/")[2]
