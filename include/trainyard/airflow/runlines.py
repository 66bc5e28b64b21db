"""All runs of trainings as mere lines, kept between two looks: only those that have changed are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

from airflow.models.dagrun import DagRun
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from trainyard.airflow.endstates import ENDED_RUN
from trainyard.airflow.runqueries import TRAININGS

# Clocks of the machines that write the table may differ by as much without a look at all lines.
_SKEW = timedelta(seconds=30)


class Line(NamedTuple):
    """One run as Airflow's table has it. Moments are in seconds since the epoch; `owner` triggered it in Airflow."""

    id: int
    dag_id: str
    run_id: str
    state: str
    run_after: float
    begun_at: float
    ended_at: float | None
    owner: str | None

    @property
    def over(self) -> bool:
        return self.state in ENDED_RUN

    @property
    def first(self) -> bool:
        return self.run_id == self.dag_id


class Seen(NamedTuple):
    """What was there at one look: the lines in the order of their submission, and the trainings with a first run.

    `version` is another one whenever the lines are others.
    """

    lines: Sequence[Line]
    known: frozenset[str]
    version: int


class RunLines:
    """Remembers the lines. Whether any has changed, counts and sums of ids by state tell in one small query."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: dict[int, Line] = {}
        self._seen = Seen((), frozenset(), 0)
        self._marks: Mapping[str, tuple[int, int]] | None = None
        self._newest: datetime | None = None

    def look(self, session: Session) -> Seen:
        """Return what is there now."""
        with self._lock:
            marks, newest = _marks(session)
            if marks != self._marks or newest != self._newest:
                self._refresh(session, marks, newest)
            return self._seen

    def _refresh(self, session: Session, marks: Mapping[str, tuple[int, int]], newest: datetime | None) -> None:
        if self._newest is not None and newest is not None:
            changed = {line.id: line for line in _read(session, min(newest, self._newest) - _SKEW)}
            self._lines.update(changed)
        if _summed(self._lines.values()) != marks:  # some were deleted, or say nothing of having changed
            self._lines = {line.id: line for line in _read(session, None)}
        lines = sorted(self._lines.values(), key=lambda line: (line.run_after, line.id))
        known = frozenset(line.dag_id for line in lines if line.first)
        self._seen = Seen(lines, known, self._seen.version + 1)
        # What was written meanwhile belongs to the next look.
        self._marks, self._newest = (marks, newest) if _summed(lines) == marks else (None, None)


def _marks(session: Session) -> tuple[dict[str, tuple[int, int]], datetime | None]:
    sums = (DagRun.state, func.count(), func.sum(DagRun.id), func.max(DagRun.updated_at))
    rows = session.execute(select(*sums).where(DagRun.dag_id.like(TRAININGS)).group_by(DagRun.state)).all()
    found = {str(state): (int(count), int(total)) for state, count, total, _ in rows}
    return found, max((changed for *_, changed in rows if changed), default=None)


def _summed(lines: Iterable[Line]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for line in lines:
        count, total = found.get(line.state, (0, 0))
        found[line.state] = (count + 1, total + line.id)
    return found


def _read(session: Session, since: datetime | None) -> list[Line]:
    begun = (DagRun.queued_at, DagRun.start_date)
    columns = (DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after, *begun, DagRun.end_date)
    asked = select(*columns, DagRun.triggering_user_name).where(DagRun.dag_id.like(TRAININGS))
    if since is not None:
        asked = asked.where(DagRun.updated_at >= since)
    return [_line(row) for row in session.connection().execute(asked)]


def _line(row: Any) -> Line:
    number, dag_id, run_id, state, run_after, queued_at, start_date, ended_at, owner = row
    begun = queued_at or start_date or run_after
    times = (run_after.timestamp(), begun.timestamp(), ended_at.timestamp() if ended_at else None)
    return Line(number, dag_id, run_id, str(state), *times, owner)
