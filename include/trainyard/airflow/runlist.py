"""Pages of runs: which ones, in which order; only those of the page are read with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from trainyard.airflow.endstates import ENDED_RUN
from trainyard.airflow.runqueries import TRAININGS, all_runs, canceled_runs, key_of, taken_apart
from trainyard.airflow.runreader import RunReader, first_run, listed
from trainyard.airflow.runstates import ended_as
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.runs import Key, Order, Run
from trainyard.domain.names import RunKey
from trainyard.domain.states import State

_GOING = DagRun.state.not_in(ENDED_RUN)


class RunList:
    """The runs of all trainings in the catalogue, page by page."""

    def __init__(self, catalogue: Catalogue, reader: RunReader) -> None:
        self._catalogue = catalogue
        self._reader = reader

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
    ) -> tuple[Sequence[Run], int]:
        """Return a page of runs, in the order of their submission or another one, and how many there are in all.

        Only runs in one of the `states` (none given: any), submitted not before `since` and started by the `owner`
        (none given: anybody) are listed, `without` some, or `only` some. A run that Airflow does not know yet counts
        as a queued one: nothing accepted is ever missing.
        """
        wanted = self._catalogue.ids() if trainings is None else set(trainings)
        with create_session() as session:
            known, asked = taken_apart(session.connection().execute(all_runs(since)), wanted)
            if without or only is not None:
                listed_rows = self._rows_of(session, only if only is not None else without)
                asked = {row: state for row, state in asked.items() if (row in listed_rows) == (only is not None)}
            if owner:
                asked = self._owned(session, asked, owner)
            ids = self._in_states(session, asked, states) if states else list(asked)
            may_be_fresh = only is None and (not states or State.PENDING in states)
            fresh = self._fresh(session, wanted, known) if may_be_fresh else []
            fresh = [run for run in fresh if run.submitted_at >= (since or 0.0) and owner in ("", run.owner)]
            chosen = self._ordered(session, [*ids, *fresh], order)[offset : offset + limit]
            those = [place for place in chosen if isinstance(place, int)]
            rows = session.scalars(select(DagRun).where(DagRun.id.in_(those))).all()
            whose = {key_of(row): row.id for row in rows}
            found = {whose[run.key]: run for run in self._reader.runs(session, rows, listed)}
        # A record may have gone in between.
        page = (found.get(place) if isinstance(place, int) else place for place in chosen)
        return [run for run in page if run], len(ids) + len(fresh)

    def _rows_of(self, session: Session, runs: Collection[RunKey]) -> set[int]:
        """Return the row ids of some runs."""
        if not runs:
            return set()
        columns = (DagRun.id, DagRun.dag_id, DagRun.run_id)
        lines = session.connection().execute(select(*columns).where(DagRun.dag_id.like(TRAININGS)))
        # However many runs are asked for, a database takes no more values in a query than it takes.
        return {row for row, dag_id, run_id in lines if RunKey(dag_id, run_id) in runs}

    def _ordered(self, session: Session, places: list[int | Run], order: Order) -> list[int | Run]:
        """Put row ids, and runs without a row, in another order than that of their submission."""
        if order.descending:
            places = places[::-1]  # equal ones the newest first
        if order.key is Key.SUBMITTED:
            return places
        columns = (DagRun.id, DagRun.dag_id, DagRun.triggering_user_name)
        lines = session.connection().execute(select(*columns).where(DagRun.dag_id.like(TRAININGS)))
        whose = {row: (dag_id, owner) for row, dag_id, owner in lines}
        # One listing of the records instead of a look at each: ten thousand looks take 100 ms.
        records = {record.id: record for record in self._catalogue.trainings()}
        found = (
            whose.get(place, ("", "")) if isinstance(place, int) else (place.training_id, place.owner)
            for place in places
        )
        keys = [_compared(order.key, records.get(training_id), owner) for training_id, owner in found]
        return [places[at] for at in sorted(range(len(places)), key=keys.__getitem__, reverse=order.descending)]

    def _fresh(self, session: Session, wanted: set[str], known: set[str]) -> list[Run]:
        """Return the runs that Airflow does not know yet: first ones, and those that were asked for."""
        records = (self._catalogue.get(each) for each in wanted - known if not self._catalogue.has_begun(each))
        found = [listed(first_run(record)) for record in records if record] + self._pending(session, wanted)
        return sorted(found, key=lambda run: (run.submitted_at, run.model_id))

    def _pending(self, session: Session, wanted: Container[str]) -> list[Run]:
        """Return the runs that the service was asked to start and has not made in Airflow yet."""
        starts = [start for start in map(self._catalogue.starts.get, self._catalogue.starts.pending()) if start]
        if not starts:
            return []
        made = select(DagRun.run_id).where(DagRun.run_id.in_([start.model_id for start in starts]))
        there = set(session.scalars(made.where(DagRun.dag_id.in_({start.training_id for start in starts}))))
        asked = (start for start in starts if start.training_id in wanted and start.model_id not in there)
        return [listed(run) for run in map(self._reader.asked, asked) if run]

    def _owned(self, session: Session, runs: Mapping[int, str], owner: str) -> dict[int, str]:
        """Keep the runs that somebody started: in Airflow, through the service, or by submitting the training."""
        columns = (DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.triggering_user_name)
        lines = session.connection().execute(select(*columns).where(DagRun.dag_id.like(TRAININGS)))
        theirs = {record.id for record in self._catalogue.trainings() if record.owner == owner}
        kept = {row for row, dag_id, _, by in lines if (by == owner if by else dag_id in theirs)}
        return {row: state for row, state in runs.items() if row in kept}

    def _in_states(self, session: Session, runs: Mapping[int, str], states: frozenset[State]) -> list[int]:
        """Keep the runs in one of the states; only of those that are going more than the run's own row is read."""
        canceled = set(session.scalars(canceled_runs())) if any(state.terminal for state in states) else set()
        going = self._going_in(session, states)
        return [
            row
            for row, state in runs.items()
            if (row in going if state not in ENDED_RUN else ended_as(state, row in canceled) in states)
        ]

    def _going_in(self, session: Session, states: frozenset[State]) -> set[int]:
        """Return those of the runs that are going; only one with a failed step can have its outcome already."""
        those = select(DagRun).where(_GOING, DagRun.dag_id.like(TRAININGS))
        if all(state.terminal for state in states):
            task = TaskInstance
            failed = (task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id, task.state == "failed")
            those = those.where(exists().where(*failed))
        going = session.scalars(those).all()
        kept = {run.key for run in self._reader.runs(session, going) if run.state in states}
        return {row.id for row in going if key_of(row) in kept}


def _compared(key: Key, training: Training | None, owner: str | None) -> tuple[bool, Any]:
    """Return what a run is put in its place by; one whose record is gone has a place all the same."""
    if training is None:
        return (False, 0)
    return (True, owner.casefold() if owner and key is Key.OWNER else key.of(training))
