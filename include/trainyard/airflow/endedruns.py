"""How runs ended, as far as lists and quotas ask: read once for each end, since nothing changes it any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from airflow.models.xcom import XComModel
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from trainyard.airflow.outcomes import KEY, USED, value_of
from trainyard.airflow.runlines import Line, Seen
from trainyard.airflow.runqueries import canceled_runs
from trainyard.airflow.runstates import ended_as
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import State

# As many values of one query as every database takes.
_CHUNK = 500
_TIMES = ("gpu_seconds", "started_at", "finished_at")


class Ended(NamedTuple):
    """How one run ended. Its program ran from `started_at` to `finished_at`, None where it never did."""

    state: State
    gpu_seconds: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None


class EndedRuns:
    """Remembers the ends of runs; one that is cleared and ends again is read again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[int, tuple[tuple[str, float | None], Ended]] = {}
        self._ends: Mapping[int, Ended] = {}
        self._version = 0

    def of(self, session: Session, seen: Seen) -> Mapping[int, Ended]:
        """Return the ends of all runs that are over, by the ids of their lines."""
        with self._lock:
            if seen.version != self._version:
                self._update(session, [line for line in seen.lines if line.over])
                self._version = seen.version
            return self._ends

    def _update(self, session: Session, over: Sequence[Line]) -> None:
        missing = [line for line in over if self._stamp(line.id) != (line.state, line.ended_at)]
        for start in range(0, len(missing), _CHUNK):
            self._read(session, missing[start : start + _CHUNK])
        # Those that are there no more are forgotten.
        self._known = {line.id: self._known[line.id] for line in over}
        self._ends = {number: end for number, (_, end) in self._known.items()}

    def _stamp(self, number: int) -> tuple[str, float | None] | None:
        known = self._known.get(number)
        return known[0] if known else None

    def _read(self, session: Session, lines: Sequence[Line]) -> None:
        ids = [line.id for line in lines]
        canceled = set(session.scalars(canceled_runs().where(XComModel.dag_run_id.in_(ids))))
        times = _times(session, ids)
        for line in lines:
            state = ended_as(line.state, line.id in canceled)
            self._known[line.id] = ((line.state, line.ended_at), Ended(state, *times.get(line.id, ())))


def _times(session: Session, ids: Sequence[int]) -> dict[int, tuple[float, float | None, float | None]]:
    """Return GPU seconds, start and end of the programs of runs.

    What the train step says of itself counts, else what upload says of it.
    """
    xcom = XComModel
    told = or_(and_(xcom.task_id == "train", xcom.key == KEY), and_(xcom.task_id == "upload", xcom.key == USED))
    columns = (xcom.dag_run_id, xcom.dag_id, xcom.run_id, xcom.task_id, xcom.key, xcom.value)
    rows = session.execute(select(*columns).where(xcom.dag_run_id.in_(ids), told)).all()
    found = {}
    for row in sorted(rows, key=lambda row: bool(row.task_id == "train")):
        value = value_of(row)
        known = {name: value[name] for name in _TIMES if name in value} if isinstance(value, Mapping) else {}
        outcome = Outcome.from_dict(known)
        found[row.dag_run_id] = (outcome.gpu_seconds, outcome.started_at, outcome.finished_at)
    return found
