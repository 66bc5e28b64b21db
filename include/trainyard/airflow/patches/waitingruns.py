"""Let the scheduler pass over the runs of trainings of which a step is on its way, or waits for its retry.

Airflow 3.3.2. A loop examines 20 running runs, those first that it has not examined for longest: 25 ms of a core each,
whether there is something to decide or not. Each examination is written down, which wakes the scheduler again. Without
the patch a scheduler is never idle while any training runs, and takes a whole core while 20 of them wait for GPUs; a
run beside a burst of 60 is examined in every third of such loops, so that each of its steps began 4 to 5 s after the
one before it had ended.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard.airflow.patches import ShapeMismatchError, expect

# The steps of a training are a chain: while one of them is in such a state, nothing is to be decided about the others.
ON_THEIR_WAY = ("scheduled", "queued", "running", "restarting", "deferred")
# What a person changes by hand in Airflow's pages meanwhile, like an earlier step that is cleared, is seen so soon.
LONGEST = timedelta(minutes=1)
# A step whose retry is not due yet decides nothing either; when that is, Airflow works out from the DAG.
BETWEEN_RETRY_LOOKS = timedelta(seconds=3)


def install() -> None:
    """Leave such runs out of those that are examined; a second time is harmless."""
    from airflow.models.dagrun import DagRun

    as_usual = expect(DagRun, "get_running_dag_runs_to_examine", "session")
    if not hasattr(DagRun, "last_scheduling_decision"):
        raise ShapeMismatchError("DagRun.last_scheduling_decision is not there")
    if getattr(as_usual, "without_waiting", False):
        return

    @functools.wraps(as_usual)
    def without_waiting(cls: Any, *, session: Any) -> Any:
        return as_usual(session=_Narrowing(session))

    without_waiting.without_waiting = True  # type: ignore[attr-defined]
    DagRun.get_running_dag_runs_to_examine = classmethod(without_waiting)  # type: ignore[assignment, method-assign]


class _Narrowing:
    """A session whose query for runs finds none of which a step is on its way."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def scalars(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        from sqlalchemy import Select

        narrowed = query.where(_to_be_examined()) if isinstance(query, Select) else query
        return self._session.scalars(narrowed, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _to_be_examined() -> Any:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import exists, or_

    def has_step(*states: str) -> Any:
        step = TaskInstance
        return exists().where(step.dag_id == DagRun.dag_id, step.run_id == DagRun.run_id, step.state.in_(states))

    examined, now = DagRun.last_scheduling_decision, datetime.now(UTC)
    return or_(
        examined.is_(None),
        examined < now - LONGEST,
        ~DagRun.dag_id.startswith("training-", autoescape=True),
        ~has_step(*ON_THEIR_WAY, "up_for_retry"),
        ~has_step(*ON_THEIR_WAY) & (examined < now - BETWEEN_RETRY_LOOKS),
    )
