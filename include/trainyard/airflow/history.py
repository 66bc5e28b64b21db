"""History is Airflow's: runs, phases and outcomes read from DAG runs, task instances and XComs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import or_, select

from trainyard.airflow.cancel import cancel
from trainyard.airflow.endedruns import EndedRuns
from trainyard.airflow.leftovers import remove_task_logs
from trainyard.airflow.ordering import Ordering
from trainyard.airflow.runlines import RunLines
from trainyard.airflow.runlist import RunList
from trainyard.airflow.runqueries import TRAININGS, epoch, key_of
from trainyard.airflow.runreader import RunReader, Started, first_run
from trainyard.airflow.runstates import STEPS
from trainyard.core.catalogue import Catalogue
from trainyard.core.runs import Order, Run, StepRun
from trainyard.domain.names import MODEL_ID_PREFIX, RunKey
from trainyard.domain.states import State


class AirflowHistory:
    """The runs of all trainings in the catalogue.

    `started` says when a run's program started, `installing` whether the pod still installs what that needs.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        started: Started,
        installing: Callable[[RunKey], bool] = lambda _: False,
        lines: RunLines | None = None,
        ended: EndedRuns | None = None,
    ) -> None:
        self._catalogue = catalogue
        self.reader = RunReader(catalogue, started, installing)
        ordering = Ordering(catalogue, started, time.time)
        self._list = RunList(catalogue, self.reader, lines or RunLines(), ended or EndedRuns(), ordering)

    def page(
        self,
        trainings: Iterable[str] | None,
        limit: int,
        offset: int,
        states: frozenset[State] = frozenset(),
        since: float | None = None,
        order: Order = Order(),  # noqa: B008 - a value
        owner: str = "",
        without: Collection[RunKey] = (),
        only: Collection[RunKey] | None = None,
        chosen: Callable[[RunKey], bool] | None = None,
    ) -> tuple[Sequence[Run], int]:
        """Return a page of the runs that are asked for, and how many there are in all."""
        return self._list.page(trainings, limit, offset, states, since, order, owner, without, only, chosen)

    def find(self, model_id: str) -> Run | None:
        """Return the run that got this model id: a training's first run has the training's, others theirs alone.

        Whoever may start runs in Airflow itself can give one the id of another training's run; that one is older.
        """
        training, start = self._catalogue.get(model_id), self._catalogue.starts.get(model_id)
        whose = DagRun.dag_id == model_id if training else DagRun.dag_id.like(TRAININGS)
        if start and not training:
            whose = DagRun.dag_id == start.training_id
        with create_session() as session:
            row = session.scalar(select(DagRun).where(DagRun.run_id == model_id, whose).order_by(DagRun.id).limit(1))
            if row is not None:
                return next(iter(self.reader.runs(session, [row])), None)
        if training:
            return None if self._catalogue.has_begun(training.id) else first_run(training)
        left = self._catalogue.starts.left(model_id)
        return self.reader.asked(left) if left else None

    def like(self, part: str) -> set[RunKey]:
        """Return the runs whose ids begin or end with a part, of the nine characters that distinguish ids."""
        begins, ends = f"{MODEL_ID_PREFIX}{part}", part
        either = or_(DagRun.run_id.startswith(begins, autoescape=True), DagRun.run_id.endswith(ends, autoescape=True))
        with create_session() as session:
            rows = session.execute(select(DagRun.dag_id, DagRun.run_id).where(DagRun.dag_id.like(TRAININGS), either))
            found = set(map(key_of, rows)) | self._catalogue.expected()
        # Databases do not all distinguish small letters from capitals.
        return {run for run in found if run.model_id.startswith(begins) or run.model_id.endswith(ends)}

    def cancel(self, run: Run, caller: str) -> None:
        """Stop a run: its program is ended, teardowns still store what there is; raise C108 if it trains no more."""
        cancel(run.training_id, run.model_id, caller)

    def steps(self, run: Run) -> list[StepRun]:
        """Return the steps of a run in their order; none of a run that Airflow does not know yet."""
        task = TaskInstance
        columns = (task.task_id, task.state, task.start_date, task.end_date, task.try_number)
        with create_session() as session:
            mine = (task.dag_id == run.training_id, task.run_id == run.model_id)
            found = {row[0]: _step(row) for row in session.execute(select(*columns).where(*mine))}
        return [found[step] for step in STEPS if step in found]

    def is_last(self, run: Run) -> bool:
        """Say whether the training has no other run."""
        with create_session() as session:
            others = select(DagRun.id).where(DagRun.dag_id == run.training_id, DagRun.run_id != run.model_id)
            return session.scalar(others.limit(1)) is None and not self._has_pending(run.training_id)

    def forget(self, run: Run) -> bool:
        """Remove a run from the history, with Airflow's logs of its steps; return whether it was its training's last.

        A run whose training's record is gone already is removed too.
        """
        from airflow.api.common.delete_dag import delete_dag
        from airflow.exceptions import DagNotFound

        remove_task_logs(run.training_id, run.model_id)
        with create_session() as session:
            mine = (DagRun.dag_id == run.training_id, DagRun.run_id == run.model_id)
            row = session.scalar(select(DagRun).where(*mine))
            if row is not None:
                session.delete(row)
                session.flush()
            left = select(DagRun).where(DagRun.dag_id == run.training_id).order_by(DagRun.run_after, DagRun.id)
            heir = session.scalar(left.limit(1))
            if heir is not None or self._has_pending(run.training_id):
                if run.model_id == run.training_id:  # one that nobody started would be listed as still to come
                    self._catalogue.mark_begun(run.training_id)
                return False
            try:
                delete_dag(run.training_id, session=session)
            except DagNotFound:  # the training never became a DAG
                return True
        return True

    def _has_pending(self, training_id: str) -> bool:
        return bool(self._catalogue.starts.pending_of(training_id))


def _step(row: Any) -> StepRun:
    name, state, began, ended, attempt = row
    return StepRun(name, str(state or ""), epoch(began), epoch(ended), attempt or 0)
