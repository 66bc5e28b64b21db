"""Lists of runs in any order: what an ended run is compared by is found out once, since nothing changes it any more."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from threading import Lock
from typing import Any

from trainyard.airflow.endedruns import Ended
from trainyard.airflow.runlines import Line, Seen
from trainyard.airflow.runqueries import key_of
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.runs import Key, Order, Run
from trainyard.domain.names import RunKey
from trainyard.domain.states import State

# A run as Airflow has it, or one that it does not know yet.
Place = Line | Run
_STATES = {state: number for number, state in enumerate(State)}
_NO_VALUE = (False, 0)
# From so many on, one listing of the records is quicker than a look at each.
_MANY = 200


class Ordering:
    """Puts runs in order; `started` tells when the program of a run that is going started, `clock` what time it is."""

    def __init__(
        self, catalogue: Catalogue, started: Callable[[RunKey], float | None], clock: Callable[[], float]
    ) -> None:
        self._catalogue, self._started, self._clock = catalogue, started, clock
        self._lock = Lock()
        # Of each order that was asked for: line -> what it is compared by, and the ended lines in that order.
        self._compared: dict[Key, dict[int, tuple[Line, Any]]] = {}
        self._sorted: dict[Key, tuple[int, Sequence[Line]]] = {}

    def ordered(
        self,
        seen: Seen,
        asked: Sequence[Line],
        fresh: Sequence[Run],
        order: Order,
        ends: Callable[[], Mapping[int, Ended]],
        going: Callable[[], Mapping[int, State]],
    ) -> list[Place]:
        """Put lines, and runs that have none yet, which are the youngest, in order; equal ones are by submission.

        `ends` tells how runs ended, `going` the states of those that have not; neither is asked unless it matters.
        """
        places: list[Place] = [*asked, *fresh]
        if order.key is not Key.SUBMITTED:
            places = self._by(order.key, seen, asked, fresh, ends, going)
        return places[::-1] if order.descending else places

    def _by(
        self,
        key: Key,
        seen: Seen,
        asked: Sequence[Line],
        fresh: Sequence[Run],
        ends: Callable[[], Mapping[int, Ended]],
        going: Callable[[], Mapping[int, State]],
    ) -> list[Place]:
        with self._lock:
            known, ended = self._of_ended(key, seen, ends)
        wanted = {line.id for line in asked}
        found: list[Place] = [line for line in ended if line.id in wanted]
        others = [line for line in asked if not line.over]
        states = going() if key is Key.STATE and others else {}
        heads = self._heads(others, fresh)
        names = self._names(key)
        own = {line: self._of_going(key, line, heads.get(line.dag_id), states, names) for line in others}
        late = {
            run.key: (_of_fresh(key, run, heads.get(run.training_id), names), inf, at) for at, run in enumerate(fresh)
        }

        def compared(place: Place) -> Any:
            if isinstance(place, Run):
                return late[place.key]
            return own[place] if place in own else known[place.id][1]

        late_ones: list[Place] = [*others, *fresh]
        for each in late_ones:
            insort(found, each, key=compared)
        return found

    def _of_ended(
        self, key: Key, seen: Seen, ends: Callable[[], Mapping[int, Ended]]
    ) -> tuple[Mapping[int, tuple[Line, Any]], Sequence[Line]]:
        known = self._compared.get(key, {})
        version, ended = self._sorted.get(key, (0, ()))
        if version != seen.version:
            over = [line for line in seen.lines if line.over]
            missing = [line for line in over if (at := known.get(line.id)) is None or at[0] != line]
            known = {**known, **self._compare(key, missing, ends)} if missing else known
            known = {line.id: known[line.id] for line in over}
            ended = [line for _, line in sorted((known[line.id][1], line) for line in over)]
            self._compared[key], self._sorted[key] = known, (seen.version, ended)
        return known, ended

    def _compare(
        self, key: Key, lines: Sequence[Line], ends: Callable[[], Mapping[int, Ended]]
    ) -> dict[int, tuple[Line, Any]]:
        if key in _OF_ENDS:
            told = ends()
            return {line.id: (line, (_of_end(key, line, told[line.id]), line.run_after, line.id)) for line in lines}
        heads, names = self._heads(lines, ()), self._names(key)
        found = {
            line: _of_training(key, heads.get(line.dag_id), line.owner, names.get(key_of(line), "")) for line in lines
        }
        return {line.id: (line, (value, line.run_after, line.id)) for line, value in found.items()}

    def _names(self, key: Key) -> Mapping[RunKey, str]:
        """Return the names of runs that have one of their own, where the order asks for names."""
        return self._catalogue.starts.named() if key is Key.NAME else {}

    def _of_going(
        self, key: Key, line: Line, head: Training | None, states: Mapping[int, State], names: Mapping[RunKey, str]
    ) -> Any:
        found: float | None
        if key is Key.STATE:
            found = _STATES[states.get(line.id, State.RUNNING)]
        elif key in _OF_ENDS:
            found = self._time_of_going(key, line)
        else:
            return _of_training(key, head, line.owner, names.get(key_of(line), "")), line.run_after, line.id
        return _value(found), line.run_after, line.id

    def _time_of_going(self, key: Key, line: Line) -> float | None:
        started = self._started(key_of(line)) if key is not Key.ENDED else None
        return self._clock() - started if started is not None and key is Key.DURATION else started

    def _heads(self, lines: Sequence[Line], fresh: Iterable[Run]) -> Mapping[str, Training]:
        ids = {*(line.dag_id for line in lines), *(run.training_id for run in fresh)}
        if len(ids) > _MANY:
            return {record.id: record for record in self._catalogue.trainings()}
        return {each: head for each in ids if (head := self._catalogue.head(each))}


_OF_ENDS = frozenset((Key.STATE, Key.STARTED, Key.ENDED, Key.DURATION))


def _of_end(key: Key, line: Line, end: Ended) -> tuple[bool, Any]:
    match key:
        case Key.STATE:
            return _value(_STATES[end.state])
        case Key.STARTED:
            return _value(end.started_at)
        case Key.ENDED:
            return _value(line.ended_at)
    finished = end.finished_at or line.ended_at
    ran = finished - end.started_at if finished and end.started_at else None
    return _value(ran if ran is not None and ran >= 0 else None)


def _of_training(key: Key, training: Training | None, owner: str | None, name: str) -> tuple[bool, Any]:
    """Return what a run is put in its place by; one whose record is gone has a place all the same."""
    if training is None:
        return _NO_VALUE
    return _value(owner.casefold() if owner and key is Key.OWNER else key.of(training, name))


def _of_fresh(key: Key, run: Run, training: Training | None, names: Mapping[RunKey, str]) -> tuple[bool, Any]:
    if key in _OF_ENDS:
        return _value(_STATES[State.PENDING] if key is Key.STATE else None)
    return _of_training(key, training, run.owner, names.get(run.key, ""))


def _value(found: Any) -> tuple[bool, Any]:
    """Put what has no value before everything that has."""
    return _NO_VALUE if found is None else (True, found)
