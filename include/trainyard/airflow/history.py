"""History is Airflow's: runs, phases and outcomes read from DAG runs, task instances and XComs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from trainyard.airflow.outcomes import KEY
from trainyard.catalogue import Catalogue, Training
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.service import Run

STEPS = ("validate", "stage", "train", "upload", "cleanup")
CANCELED = "canceled"
_UNSTARTED = (None, "scheduled", "queued", "removed")

# When the program of a run started, in seconds since the epoch; None while it has not.
Started = Callable[[str], float | None]


class AirflowHistory:
    """The runs of all trainings in the catalogue. `started` tells when a run's program started."""

    def __init__(self, catalogue: Catalogue, started: Started) -> None:
        self._catalogue = catalogue
        self._started = started

    def page(self, trainings: Iterable[str] | None, limit: int, offset: int) -> tuple[Sequence[Run], int]:
        """Return a page of runs in the order of their submission, and how many there are in all.

        A training that Airflow does not know yet counts as a queued run: nothing accepted is ever missing.
        """
        wanted = None if trainings is None else set(trainings)
        with create_session() as session:
            fresh = self._fresh(session, wanted)
            query = select(DagRun).where(_is_training(wanted))
            total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
            rows = session.scalars(query.order_by(DagRun.run_after, DagRun.id).limit(limit).offset(offset)).all()
            runs = self._runs(session, rows)
        room = slice(max(0, offset - total), max(0, offset + limit - total))
        return [*runs, *fresh[room]], total + len(fresh)

    def find(self, model_id: str) -> Run | None:
        with create_session() as session:
            row = session.scalar(select(DagRun).where(DagRun.run_id == model_id, _is_training(None)))
            if row is not None:
                return next(iter(self._runs(session, [row])), None)
        training = self._catalogue.get(model_id)
        return _queued(training) if training else None

    def cancel(self, run: Run, caller: str) -> None:
        """Stop a run: its program is ended, teardowns still store what there is.

        Raise TrainyardError C108 when Airflow does not know the run yet, about a second after its submission.
        """
        from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
        from airflow.models.serialized_dag import SerializedDagModel

        with create_session() as session:
            dag = SerializedDagModel.get_dag(run.training_id, session=session)
            row = session.scalar(select(DagRun).where(DagRun.run_id == run.model_id))
            if dag is None or row is None:
                raise TrainyardError("C108", f"{run.model_id} is just being set up", "Try again in a few seconds.")
            _mark_canceled(session, run, caller)
            set_dag_run_state_to_failed(dag=dag, run_id=run.model_id, commit=True, session=session)

    def forget(self, run: Run) -> bool:
        """Remove a run from the history; return whether it was the last one of its training."""
        from airflow.api.common.delete_dag import delete_dag
        from airflow.exceptions import DagNotFound

        with create_session() as session:
            row = session.scalar(select(DagRun).where(DagRun.run_id == run.model_id))
            if row is not None:
                session.delete(row)
                session.flush()
            left = select(DagRun).where(DagRun.dag_id == run.training_id).order_by(DagRun.run_after, DagRun.id)
            heir = session.scalar(left.limit(1))
            if heir is not None:
                _take_place(heir, row)
                return False
            try:
                delete_dag(run.training_id, session=session)
            except DagNotFound:  # the training never became a DAG
                return True
        return True

    def _fresh(self, session: Session, wanted: set[str] | None) -> list[Run]:
        ids = self._catalogue.ids() if wanted is None else self._catalogue.ids() & wanted
        known = set(session.scalars(select(DagRun.dag_id).where(_is_training(wanted)).distinct()))
        records = filter(None, map(self._catalogue.get, ids - known))
        return sorted(map(_queued, records), key=lambda run: run.submitted_at)

    def _runs(self, session: Session, rows: Sequence[Any]) -> list[Run]:
        ids = [row.run_id for row in rows]
        steps = _steps(session, ids)
        ends = _outcomes(session, ids)
        records = ((row, self._catalogue.get(row.dag_id)) for row in rows)
        return [self._run(row, record, steps[row.run_id], ends[row.run_id]) for row, record in records if record]

    def _run(self, row: Any, training: Training, steps: Mapping[str, str], ends: Mapping[str, Any]) -> Run:
        started = self._started(row.run_id)
        phase = phase_of(str(row.state), steps, started is not None)
        outcome = outcome_of(str(row.state), steps, ends) if phase is Phase.DONE else None
        return replace(
            _queued(training),
            model_id=row.run_id,
            phase=phase,
            submitted_at=training.submitted_at if row.run_id == training.id else _epoch(row.queued_at) or 0.0,
            running_at=(outcome.started_at if outcome else None) or started,
            finished_at=_epoch(row.end_date) if phase is Phase.DONE else None,
            outcome=outcome,
        )


def phase_of(run_state: str, steps: Mapping[str, str], started: bool) -> Phase:
    """Tell where a run is from the states of its DAG run and its steps."""
    if run_state in ("success", "failed"):
        return Phase.DONE
    if steps.get("train") in ("success", "failed", "skipped", "upstream_failed"):
        return Phase.STORING
    if steps.get("stage") == "success":
        return Phase.TRAINING if started else Phase.WAITING_FOR_GPU
    if steps.get("validate") == "success":
        return Phase.STAGING
    return Phase.QUEUED if steps.get("validate") in _UNSTARTED else Phase.VALIDATING


def outcome_of(run_state: str, steps: Mapping[str, str], ends: Mapping[str, Any]) -> Outcome:
    """Tell how a run ended: canceled, the first step that failed, or completed; GPU time is the train step's."""
    trained = Outcome.from_dict(ends.get("train", {}))
    if run_state == "success" and not _was_canceled(steps, ends):
        return trained
    end = _unsuccessful(steps, ends)
    return replace(
        end,
        exit_code=trained.exit_code,
        gpu_seconds=trained.gpu_seconds,
        started_at=trained.started_at,
        finished_at=trained.finished_at,
    )


def _was_canceled(steps: Mapping[str, str], ends: Mapping[str, Any]) -> bool:
    """A run that was canceled when its program had already succeeded is not undone."""
    return CANCELED in ends and steps.get("train") != "success"


def _unsuccessful(steps: Mapping[str, str], ends: Mapping[str, Any]) -> Outcome:
    """A step that failed without a word (its worker was killed) is a fault of the service and says so."""
    if _was_canceled(steps, ends):
        return Outcome("C204", f"canceled by {ends[CANCELED]}", "Submit it again to train.")
    failed = next((step for step in STEPS if steps.get(step) == "failed"), None)
    if failed is None:
        return Outcome("S500", "the run was marked failed in Airflow", "Submit it again to train.")
    said = Outcome.from_dict(ends.get(failed, {}))
    if said.code:
        return said
    return Outcome("S500", f"the {failed} step ended without a reason", "Look at its log in Airflow.")


def _queued(training: Training) -> Run:
    return Run(
        model_id=training.id,
        training_id=training.id,
        name=training.spec.name,
        account=training.account,
        framework=str(training.spec.framework),
        gpus=training.plan.gpus,
        phase=Phase.QUEUED,
        submitted_at=training.submitted_at,
    )


def _is_training(wanted: set[str] | None) -> Any:
    return DagRun.dag_id.like("training-%") if wanted is None else DagRun.dag_id.in_(wanted)


def _steps(session: Session, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return run id -> step -> its state; a step that was not scheduled yet has none."""
    columns = (TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for run_id, task_id, state in session.execute(select(*columns).where(TaskInstance.run_id.in_(ids))):
        if state is not None:
            found[run_id][task_id] = str(state)
    return found


def _outcomes(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return run id -> step -> outcome as data; under `canceled` who canceled the run."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    query = select(XComModel).where(XComModel.run_id.in_(ids), XComModel.key.in_((KEY, CANCELED)))
    for row in session.scalars(query):
        found[row.run_id][CANCELED if row.key == CANCELED else row.task_id] = XComModel.deserialize_value(row)
    return found


def _take_place(heir: DagRun, gone: DagRun | None) -> None:
    """Put a run into the schedule where the deleted one was: without an automated run a DAG starts its first again."""
    if gone is not None and gone.run_type == DagRunType.SCHEDULED:
        heir.run_type = gone.run_type
        heir.logical_date = gone.logical_date
        heir.data_interval_start, heir.data_interval_end = gone.data_interval_start, gone.data_interval_end


def _mark_canceled(session: Session, run: Run, caller: str) -> None:
    # Kept with the validate step: a step's XComs are cleared when it starts, and this one has started or never will.
    session.execute(delete(XComModel).where(XComModel.run_id == run.model_id, XComModel.key == CANCELED))
    XComModel.set(CANCELED, caller, dag_id=run.training_id, task_id="validate", run_id=run.model_id, session=session)


def _epoch(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
