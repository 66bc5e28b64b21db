"""What the runs hold and have held of the accounts' GPUs: those that are going are read, the ended ones once each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from trainyard.airflow.endedruns import Ended, EndedRuns
from trainyard.airflow.endstates import ENDED_RUN, ENDED_STEP
from trainyard.airflow.outcomes import KEY, USED, value_of
from trainyard.airflow.runlines import Line, RunLines, Seen
from trainyard.airflow.runqueries import TRAININGS, key_of
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.quota import Share
from trainyard.domain.hyperparameters import SIZE
from trainyard.domain.names import RunKey, account_pool
from trainyard.domain.outcome import Outcome
from trainyard.domain.overrides import overrides

# A task that waits deferred for its pod keeps its slots in the account's pool, see pools.py.
_HOLDING = ("queued", "running", "deferred")


class AirflowUsage:
    """The shares of all runs; `started` says when a run's program started."""

    def __init__(
        self,
        catalogue: Catalogue,
        started: Callable[[RunKey], float | None],
        clock: Callable[[], float],
        lines: RunLines | None = None,
        ended: EndedRuns | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._started = started
        self._clock = clock
        self._lines, self._ended = lines or RunLines(), ended or EndedRuns()
        # Of one look at the lines: when each run ended, and its share.
        self._counted: tuple[int, Sequence[tuple[float, Share]]] = (0, ())

    def shares(self, since: float) -> Sequence[Share]:
        """Return the shares of the runs that are going or ended after a moment."""
        with create_session() as session:
            seen = self._lines.look(session)
            over = [share for ended_at, share in self._of_ended(session, seen) if ended_at >= since]
            rows = session.execute(_train_steps()).all()
            waiting = self._expected(session, seen)
        # What the train step says of itself counts, else what upload says of it: both where it was cleared in between.
        ends = {(row.dag_id, row.run_id): row for row in sorted(rows, key=lambda row: row.reported_by == "train")}
        found = [self._share(row, training) for row in ends.values() if (training := self._catalogue.head(row.dag_id))]
        return over + found + waiting

    def _of_ended(self, session: Session, seen: Seen) -> Sequence[tuple[float, Share]]:
        version, known = self._counted
        if version != seen.version:
            ends = self._ended.of(session, seen)
            heads = {record.id: record for record in self._catalogue.trainings()}
            those = ((line, heads.get(line.dag_id), ends.get(line.id)) for line in seen.lines if line.over)
            known = [(_end(line), _ended_share(line, head, end)) for line, head, end in those if head and end]
            self._counted = (seen.version, known)
        return known

    def _expected(self, session: Session, seen: Seen) -> list[Share]:
        """Return the shares of the runs that Airflow does not have yet."""
        expected = self._catalogue.expected()
        first = {run for run in expected if run.model_id == run.training_id}
        asked = expected - first
        if first:
            known = {line.dag_id for line in seen.lines}
            first = {run for run in first if run.training_id not in known}
        if asked:
            made = select(DagRun.dag_id, DagRun.run_id).where(DagRun.run_id.in_([run.model_id for run in asked]))
            asked -= {key_of(row) for row in session.execute(made)}
        trainings = ((run, self._catalogue.get(run.training_id)) for run in sorted(first | asked))
        return [self._not_begun(run, training) for run, training in trainings if training]

    def _share(self, row: Any, training: Training) -> Share:
        if row.pool is None:
            return self._not_begun(key_of(row), training)
        gpus = row.pool_slots if row.pool == account_pool(training.account) else 0
        holding, over = row.state in _HOLDING, row.state in ENDED_STEP
        run = key_of(row)
        if over and row.value is not None:
            outcome = Outcome.from_dict(value_of(row))
            most = _most(training, _begun(row), row.end_date.timestamp() if row.end_date else self._clock())
            times = (min(outcome.gpu_seconds, most), outcome.started_at, outcome.finished_at)
        else:
            times = self._so_far(run, gpus) if holding else (0.0, None, None)
        return Share(training.account, gpus, holding, not over and not holding, *times, run=run.model_id)

    def _not_begun(self, run: RunKey, training: Training) -> Share:
        changed = overrides(training.spec, self._catalogue.values_of(run, None))
        size = training.sizes.get(str(changed.get(SIZE, "")))
        gpus = (size.gpus if size else training.plan.gpus) * training.plan.learners
        return Share(training.account, gpus, waiting=gpus > 0)

    def _so_far(self, run: RunKey, gpus: int) -> tuple[float, float | None, float | None]:
        started, now = self._started(run), self._clock()
        return (0.0, None, None) if started is None else (gpus * max(0.0, now - started), started, now)


def _most(training: Training, begun_at: float, ended_at: float) -> float:
    """Return the GPU seconds that a run can have used at most, by Airflow's times and the training's sizes."""
    return _most_gpus(training) * max(0.0, ended_at - begun_at)


def _most_gpus(training: Training) -> int:
    return training.plan.learners * max([training.plan.gpus, *(size.gpus for size in training.sizes.values())])


def _begun(row: Any) -> float:
    begun: datetime = row.queued_at or row.start_date or row.run_after
    return begun.timestamp()


def _end(line: Line) -> float:
    return line.run_after if line.ended_at is None else line.ended_at


def _ended_share(line: Line, training: Training, end: Ended) -> Share:
    seconds = min(end.gpu_seconds, _most(training, line.begun_at, _end(line)))
    times = (seconds, end.started_at, end.finished_at)
    return Share(training.account, _most_gpus(training), False, False, *times, run=key_of(line).model_id)


def _train_steps() -> Any:
    """Ask for the train step and its outcome of every run that is going."""
    task, xcom = TaskInstance, XComModel
    train = and_(task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id, task.task_id == "train")
    ended = or_(and_(xcom.task_id == "train", xcom.key == KEY), and_(xcom.task_id == "upload", xcom.key == USED))
    outcome = and_(xcom.dag_id == DagRun.dag_id, xcom.run_id == DagRun.run_id, ended)
    columns = (DagRun.dag_id, DagRun.run_id)
    times = (DagRun.queued_at, DagRun.start_date, DagRun.run_after, DagRun.end_date)
    own = (task.state, task.pool, task.pool_slots, xcom.value, xcom.task_id.label("reported_by"))
    return (
        select(*columns, *times, *own)
        .select_from(DagRun)
        .outerjoin(task, train)
        .outerjoin(xcom, outcome)
        .where(DagRun.dag_id.like(TRAININGS), DagRun.state.not_in(ENDED_RUN))
    )
