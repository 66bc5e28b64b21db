"""Let the scheduler see the steps behind a burst whose pool has few free slots.

Airflow 3.3.2. A loop reads no more steps than the executor has free places, by priority and age, and leaves those whose
pool is full by then; what lies behind them is read only if none could be queued. Without the patch a step of another
account, whose own pool is free, waits for as long as a slot of the burst's pool becomes free in each loop.
"""

from __future__ import annotations

import functools
from typing import Any

from trainyard.airflow.patches import expect


def install() -> None:
    """Look again, without the pools that are full by now, until no step is found; a second time is harmless."""
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    as_usual = expect(SchedulerJobRunner, "_executable_task_instances_to_queued", "self", "max_tis", "session")
    if hasattr(as_usual, "__wrapped__"):
        return

    @functools.wraps(as_usual)
    def all_that_fit(self: Any, max_tis: int, session: Any) -> list[Any]:
        found = as_usual(self, max_tis, session=session)
        more = found
        while more and len(found) < max_tis and _are_left(session):
            more = as_usual(self, max_tis - len(found), session=session)
            found = [*found, *more]
        return found

    SchedulerJobRunner._executable_task_instances_to_queued = all_that_fit  # type: ignore[method-assign]


def _are_left(session: Any) -> bool:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    return session.scalar(select(TaskInstance.id).where(TaskInstance.state == "scheduled").limit(1)) is not None
