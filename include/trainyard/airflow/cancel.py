"""Cancel a run in Airflow, and let its steps see that it was.

No step of a canceled run starts any more, its program is ended, and what there is is still stored.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainyard.airflow.endstates import ENDED_RUN, ENDED_STEP
from trainyard.airflow.outcomes import xcom_of
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError

# Steps look whether they were canceled; Airflow's tables are the api-server's, which cancels.
if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# Who canceled the run: an XCom of the validate step.
CANCELED = "canceled"
# Airflow knows a run a second or two after its submission, on a busy machine later.
_SETUP_SECONDS = 30.0
_LOOK_SECONDS = 0.2


def spare_mark(clear_number: int) -> str:
    """Return the key under which the train step has the mark too, for the runs of a DAG run that was cleared so often.

    A step's XComs are cleared when it starts: what validate has is lost if it starts at the moment of the cancel.
    """
    return f"{CANCELED}-{clear_number}"


def who_canceled(context: Mapping[str, Any]) -> str | None:
    """Return who canceled the run, None where nobody did."""
    who = xcom_of(context, "validate", CANCELED)
    return str(who) if who else None


def canceled_by(who: str) -> Outcome:
    return Outcome("C204", f"canceled by {who}", "Submit it again to train.")


def check_not_canceled(context: Mapping[str, Any]) -> None:
    """Raise TrainyardError C204 in a step of a run that was canceled.

    A cancel skips the steps that have not started; a scheduler that is about to queue one does not always notice.
    """
    look = _who_canceled_before if context["ti"].task_id == "validate" else who_canceled
    if who := look(context):
        outcome = canceled_by(who)
        raise TrainyardError("C204", outcome.message, outcome.hint)


def _who_canceled_before(context: Mapping[str, Any]) -> str | None:
    who = xcom_of(context, "train", spare_mark(context["dag_run"].clear_number))
    if who:
        context["ti"].xcom_push(key=CANCELED, value=who)
    return str(who) if who else None


def cancel(training_id: str, model_id: str, caller: str) -> None:
    """Cancel a run; one that was just submitted is waited for, one that was canceled already is left as it is.

    Raise TrainyardError C108 when it trains no more, or when Airflow does not know it for half a minute.
    """
    deadline = time.monotonic() + _SETUP_SECONDS
    while not _stopped(training_id, model_id, caller):
        if time.monotonic() > deadline:
            raise TrainyardError("C108", f"{model_id} is just being set up", "Try again in a few seconds.")
        time.sleep(_LOOK_SECONDS)


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
        if _trains(session, row):
            _mark(session, row, caller)
            set_dag_run_state_to_failed(dag=dag, run_id=model_id, commit=True, session=session)
        elif not _is_canceled(session, row):
            # It has its outcome: a program that failed by itself was not canceled.
            message = f"{model_id} trains no more: what it made is being stored"
            raise TrainyardError("C108", message, "There is nothing to cancel; wait until it has ended.")
    return True


def _trains(session: Session, run: Any) -> bool:
    """Say whether a run's program still runs or is to run; raise C108 if the run has ended."""
    if str(run.state) in ENDED_RUN:
        raise TrainyardError("C108", f"{run.run_id} has ended already", "There is nothing to cancel.")
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    steps = select(TaskInstance.task_id, TaskInstance.state).where(*of_run)
    states = {row.task_id: row.state for row in session.execute(steps)}
    return states.get("train") not in ENDED_STEP and "failed" not in states.values()


def _is_canceled(session: Session, run: Any) -> bool:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    stated = select(XComModel.key).where(XComModel.dag_run_id == run.id, XComModel.key == CANCELED)
    return session.scalar(stated) is not None


def _mark(session: Session, run: Any, caller: str) -> None:
    from airflow.models.xcom import XComModel

    for task_id, key in (("validate", CANCELED), ("train", spare_mark(run.clear_number))):
        XComModel.set(key, caller, dag_id=run.dag_id, task_id=task_id, run_id=run.run_id, session=session)
