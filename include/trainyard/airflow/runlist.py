"""Pages of runs: which ones, in which order; only those of the page are read with all that belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence, Set
from functools import partial

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from trainyard.airflow.endedruns import Ended, EndedRuns
from trainyard.airflow.endstates import ENDED_RUN
from trainyard.airflow.ordering import Ordering
from trainyard.airflow.runlines import Line, RunLines, Seen
from trainyard.airflow.runqueries import TRAININGS, key_of
from trainyard.airflow.runreader import RunReader, first_run, listed
from trainyard.core.catalogue import Catalogue
from trainyard.core.runs import Order, Run
from trainyard.domain.names import RunKey
from trainyard.domain.states import State

_GOING = DagRun.state.not_in(ENDED_RUN)


class RunList:
    """The runs of all trainings in the catalogue, page by page."""

    def __init__(
        self, catalogue: Catalogue, reader: RunReader, lines: RunLines, ended: EndedRuns, ordering: Ordering
    ) -> None:
        self._catalogue = catalogue
        self._reader = reader
        self._lines, self._ended, self._ordering = lines, ended, ordering

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
        """Return a page of runs, in the order of their submission or another one, and how many there are in all.

        Only runs in one of the `states` (none given: any), submitted not before `since` and started by the `owner`
        (none given: anybody) are listed, `without` some, or `only` some, and of those the `chosen` ones. A run that
        Airflow does not know yet counts as a queued one: nothing accepted is ever missing.
        """
        wanted = self._catalogue.ids() if trainings is None else set(trainings)
        with create_session() as session:
            seen = self._lines.look(session)
            asked = [line for line in seen.lines if line.dag_id in wanted and line.run_after >= (since or 0.0)]
            if without or only is not None:
                asked = _those(asked, only if only is not None else without, kept=only is not None)
            if chosen:
                asked = [line for line in asked if chosen(key_of(line))]
            if owner:
                asked = self._owned(asked, owner)
            if states:
                asked = self._in_states(session, seen, asked, states)
            may_be_fresh = only is None and (not states or State.PENDING in states)
            fresh = self._fresh(session, wanted, seen.known) if may_be_fresh else []
            fresh = [run for run in fresh if run.submitted_at >= (since or 0.0) and owner in ("", run.owner)]
            fresh = [run for run in fresh if not chosen or chosen(run.key)]
            ends, going = partial(self._ended.of, session, seen), partial(self._states_of_going, session)
            placed = self._ordering.ordered(seen, asked, fresh, order, ends, going)[offset : offset + limit]
            those = [place.id for place in placed if isinstance(place, Line)]
            rows = session.scalars(select(DagRun).where(DagRun.id.in_(those))).all()
            whose = {key_of(row): row.id for row in rows}
            found = {whose[run.key]: run for run in self._reader.runs(session, rows, listed)}
        # A record may have gone in between.
        page = (found.get(place.id) if isinstance(place, Line) else place for place in placed)
        return [run for run in page if run], len(asked) + len(fresh)

    def _fresh(self, session: Session, wanted: Set[str], known: Set[str]) -> list[Run]:
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

    def _owned(self, lines: Iterable[Line], owner: str) -> list[Line]:
        """Keep the runs that somebody started: in Airflow, through the service, or by submitting the training."""
        theirs = {record.id for record in self._catalogue.trainings() if record.owner == owner}
        return [line for line in lines if (line.owner == owner if line.owner else line.dag_id in theirs)]

    def _in_states(self, session: Session, seen: Seen, lines: Iterable[Line], states: frozenset[State]) -> list[Line]:
        """Keep the runs in one of the states; only of those that are going more than the run's own row is read."""
        ends = self._ended.of(session, seen) if any(state.terminal for state in states) else {}
        going = {number for number, state in self._states_of_going(session, states).items() if state in states}
        return [line for line in lines if (line.id in going if not line.over else _state(ends, line) in states)]

    def _states_of_going(self, session: Session, states: frozenset[State] = frozenset()) -> dict[int, State]:
        """Return the states of the runs that are going; of ended ones alone that only those may have that failed."""
        those = select(DagRun).where(_GOING, DagRun.dag_id.like(TRAININGS))
        if states and all(state.terminal for state in states):
            task = TaskInstance
            failed = (task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id, task.state == "failed")
            those = those.where(exists().where(*failed))
        going = session.scalars(those).all()
        known = {run.key: run.state for run in self._reader.runs(session, going)}
        return {row.id: known[key_of(row)] for row in going if key_of(row) in known}


def _those(lines: Iterable[Line], runs: Collection[RunKey], *, kept: bool) -> list[Line]:
    """Keep the lines of some runs, or leave them out."""
    return [line for line in lines if (key_of(line) in runs) is kept]


def _state(ends: Mapping[int, Ended], line: Line) -> State | None:
    end = ends.get(line.id)
    return end.state if end else None
