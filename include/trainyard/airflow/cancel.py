"""Cancel a run in Airflow, and let its steps see that it was.

No step of a canceled run starts any more, its program is ended, and what there is is still stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainyard.airflow.endstates import ENDED_RUN, ENDED_STEP
from trainyard.airflow.outcomes import xcom_of
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError

# Steps look whether they were canceled; Airflow's tables are the api-server's, which cancels.
if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# Who canceled the run: one XCom, under the step that `_marked_step` names.
CANCELED = "canceled"
_VALIDATE, _TRAIN = "validate", "train"
# Airflow knows a run a second or two after its submission, on a busy machine later.
_SETUP_SECONDS = 30.0
_POLL_SECONDS = 0.2


def who_canceled(context: Mapping[str, Any]) -> str | None:
    """Return who canceled the run, None where nobody did."""
    marks = (xcom_of(context, step, CANCELED) for step in (_VALIDATE, _TRAIN))
    return next((canceler(mark) for mark in marks if mark), None)


def canceler(mark: Any) -> str:
    """Return who canceled a run by its mark; those of earlier versions were the name alone."""
    return str(mark.get("by") if isinstance(mark, Mapping) else mark)


def canceled_by(who: str) -> Outcome:
    return Outcome("C204", f"canceled by {who}", "Submit it again to train.")


def check_not_canceled(context: Mapping[str, Any], forget: Callable[[Mapping[str, Any]], None] | None = None) -> None:
    """Raise TrainyardError C204 in a step of a run that was canceled.

    A cancel skips the steps that have not started; a scheduler that is about to queue one does not always notice.
    `forget` removes the mark of a run that was canceled before it was cleared, and starts again with validate.
    """
    first = context["ti"].task_id == _VALIDATE
    mark = xcom_of(context, _TRAIN if first else _VALIDATE, CANCELED)
    if first and _is_stale(mark, context):
        (forget or _forget)(context)
    elif mark:
        outcome = canceled_by(canceler(mark))
        raise TrainyardError("C204", outcome.message, outcome.hint)


def _is_stale(mark: Any, context: Mapping[str, Any]) -> bool:
    return isinstance(mark, Mapping) and mark.get("clear_number") != context["dag_run"].clear_number


def _forget(context: Mapping[str, Any]) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    run = context["dag_run"]
    XCom.delete(CANCELED, task_id=_TRAIN, dag_id=run.dag_id, run_id=run.run_id, map_index=-1)


def cancel(training_id: str, model_id: str, caller: str) -> None:
    """Cancel a run; one that was just submitted is waited for, one that was canceled already is left as it is.

    Raise TrainyardError C108 when it trains no more, or when Airflow does not know it for half a minute.
    """
    deadline = time.monotonic() + _SETUP_SECONDS
    while not _stopped(training_id, model_id, caller):
        if time.monotonic() > deadline:
            raise TrainyardError("C108", f"{model_id} is just being set up", "Try again in a few seconds.")
        time.sleep(_POLL_SECONDS)


def _stopped(training_id: str, model_id: str, caller: str) -> bool:
    """Stop a run; return whether there was one."""
    from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        dag = SerializedDagModel.get_dag(training_id, session=session)
        # The scheduler takes the same lock, so that the run does not move on meanwhile.
        those = select(DagRun).where(DagRun.dag_id == training_id, DagRun.run_id == model_id)
        row = session.scalar(those.with_for_update(of=DagRun))
        if dag is None or row is None:
            return False
        states = _states(session, row)
        if _trains(row, states):
            _mark(session, row, states, caller)
            set_dag_run_state_to_failed(dag=dag, run_id=model_id, commit=True, session=session)
        elif not _is_canceled(session, row):
            # It has its outcome: a program that failed by itself was not canceled.
            message = f"{model_id} trains no more: what it made is being stored"
            raise TrainyardError("C108", message, "There is nothing to cancel; wait until it has ended.")
    return True


def _states(session: Session, run: Any) -> dict[str, str | None]:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    steps = select(TaskInstance.task_id, TaskInstance.state).where(*of_run)
    return {row.task_id: row.state for row in session.execute(steps)}


def _trains(run: Any, states: Mapping[str, str | None]) -> bool:
    """Say whether a run's program still runs or is to run; raise C108 if the run has ended."""
    if str(run.state) in ENDED_RUN:
        raise TrainyardError("C108", f"{run.run_id} has ended already", "There is nothing to cancel.")
    return states.get(_TRAIN) not in ENDED_STEP and "failed" not in states.values()


def _is_canceled(session: Session, run: Any) -> bool:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    stated = select(XComModel.key).where(XComModel.dag_run_id == run.id, XComModel.key == CANCELED)
    return session.scalar(stated) is not None


def _mark(session: Session, run: Any, states: Mapping[str, str | None], caller: str) -> None:
    from airflow.models.xcom import XComModel
    from sqlalchemy import delete

    # Of a cancel before the run was cleared.
    session.execute(delete(XComModel).where(XComModel.dag_run_id == run.id, XComModel.key == CANCELED))
    place = {"dag_id": run.dag_id, "task_id": _marked_step(states), "run_id": run.run_id}
    mark = {"by": caller, "clear_number": run.clear_number}
    XComModel.set(CANCELED, mark, **place, session=session)


def _marked_step(states: Mapping[str, str | None]) -> str:
    """Name the step that has the mark: one that cannot start at the moment of the cancel.

    Airflow clears a step's XComs when it starts: no step would do for every moment.
    """
    return _VALIDATE if states.get(_VALIDATE) == "success" else _TRAIN
