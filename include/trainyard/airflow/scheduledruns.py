"""The runs that schedules start, as Airflow's DAG runs of type `scheduled`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from itertools import islice

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import func, select, update

from trainyard.airflow.endstates import ENDED_RUN
from trainyard.core.starts import Start
from trainyard.domain.names import RunKey

_MAX_IDS = 1000


class AirflowScheduledRuns:
    """Scheduled runs of trainings in Airflow's tables; `staged` returns the version of the data that a run has.

    A run's logical date is the moment it was due, and Airflow keeps one run of a DAG for a logical date: whoever asks
    for it twice, after a crash or from two services, gets one run.
    """

    def __init__(self, staged: Callable[[RunKey], str | None]) -> None:
        self._staged = staged

    def going(self, training_id: str) -> bool:
        mine = (DagRun.dag_id == training_id, DagRun.run_type == DagRunType.SCHEDULED, DagRun.state.not_in(ENDED_RUN))
        with create_session() as session:
            return session.scalar(select(DagRun.id).where(*mine).limit(1)) is not None

    def held(self, training_ids: Collection[str]) -> set[str]:
        """Return those of the trainings that are paused in Airflow."""
        paused = select(DagModel.dag_id).where(DagModel.is_paused)
        with create_session() as session:
            return {
                training_id
                for some in _parts(training_ids)
                for training_id in session.scalars(paused.where(DagModel.dag_id.in_(some)))
            }

    def release(self, training_id: str) -> None:
        """Take back a pause that somebody made in Airflow."""
        with create_session() as session:
            session.execute(update(DagModel).where(DagModel.dag_id == training_id).values(is_paused=False))

    def start(self, training_id: str, due: float, start: Start | None = None) -> str | None:
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
                    run_id=start.model_id if start else None,
                    # For people who look at the run in Airflow; steps read the start itself.
                    conf=dict(start.values) if start else None,
                )
            except DagNotFound:
                return None
            return run.run_id if run else None

    def newest(self, training_ids: Collection[str]) -> dict[str, str]:
        """Return the newest run of each of the trainings that has one."""
        age = func.row_number().over(partition_by=DagRun.dag_id, order_by=DagRun.run_after.desc()).label("age")
        with create_session() as session:
            found: dict[str, str] = {}
            for some in _parts(training_ids):
                runs = select(DagRun.dag_id, DagRun.run_id, age).where(DagRun.dag_id.in_(some)).subquery()
                rows = session.execute(select(runs.c.dag_id, runs.c.run_id).where(runs.c.age == 1))
                found.update((row.dag_id, row.run_id) for row in rows)
            return found

    def trained_on(self, training_id: str) -> str | None:
        query = select(DagRun.run_id).where(DagRun.dag_id == training_id).order_by(DagRun.run_after.desc())
        with create_session() as session:
            runs = [RunKey(training_id, run_id) for run_id in session.scalars(query)]
        return next(filter(None, map(self._staged, runs)), None)


def _parts(ids: Collection[str]) -> Iterator[list[str]]:
    """Yield the ids in lists of as many as a database takes in one query."""
    left = iter(ids)
    while some := list(islice(left, _MAX_IDS)):
        yield some
