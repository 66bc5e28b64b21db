"""The runs that the service is asked to start, as Airflow's DAG runs."""

from __future__ import annotations

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from trainyard.core.starts import Start


class AirflowStartedRuns:
    """Makes DAG runs of the ids that the service has handed out.

    Airflow keeps one run of a DAG for an id: whoever asks for it twice, after a crash or from two services, gets one.
    """

    def make(self, start: Start) -> bool:
        from airflow.api.common.trigger_dag import trigger_dag
        from airflow.exceptions import DagNotFound, DagRunAlreadyExists

        if self._is_there(start):
            return True
        try:
            with create_session() as session:
                trigger_dag(
                    start.training_id,
                    triggered_by=DagRunTriggeredByType.REST_API,
                    run_type=DagRunType.MANUAL,
                    triggering_user_name=start.owner,
                    run_id=start.model_id,
                    # For people who look at the run in Airflow; steps read the start itself.
                    conf=dict(start.values),
                    session=session,
                )
        except DagRunAlreadyExists:
            return True
        except IntegrityError:
            return self._is_there(start)
        except DagNotFound:
            return False
        return True

    @staticmethod
    def _is_there(start: Start) -> bool:
        mine = (DagRun.dag_id == start.training_id, DagRun.run_id == start.model_id)
        with create_session() as session:
            return session.scalar(select(DagRun.id).where(*mine)) is not None
