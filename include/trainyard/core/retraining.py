"""Scheduled retraining: which schedules there are, pausing them, and starting what is due."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from trainyard.core.accounts import Caller, may_see, only_admins
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.schedules import Entry, Schedules
from trainyard.core.starts import Kind, Start
from trainyard.domain.hyperparameters import Value
from trainyard.domain.limits import Limits
from trainyard.domain.names import derived_id
from trainyard.domain.overrides import overrides
from trainyard.domain.schedule import Progress, Schedule
from trainyard.errors import TrainyardError

_TRAINS = "it trains now: new data counts when that run has ended"
_SAME = "the data is as it was when it was trained last"
_STILL_GOING = "skipped: the scheduled run before it was still going"
_WAITS = "waits for the scheduled run before it"
_TOO_LATE = "skipped: the service did not run when it was due"
_HELD = "skipped: its DAG is paused in Airflow"
_UNKNOWN = "skipped: Airflow does not know the training yet"
_NO_POINT = "skipped: its search has found no best point yet"
_SKIPS = frozenset((_STILL_GOING, _TOO_LATE, _HELD, _UNKNOWN, _NO_POINT))
_NO_PAGE = 10**9


class ScheduleState(StrEnum):
    """What a schedule does; an ended one does nothing ever again."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


_ACTIONS = {
    ScheduleState.ACTIVE: Action.RESUME_SCHEDULE,
    ScheduleState.PAUSED: Action.PAUSE_SCHEDULE,
    ScheduleState.ENDED: Action.END_SCHEDULE,
}


class ScheduledRuns(Protocol):
    """The runs that schedules start."""

    def going(self, training_id: str) -> bool:
        """Say whether a run that was not triggered by a person has not ended yet."""

    def held(self, training_ids: Collection[str]) -> Collection[str]:
        """Return those that somebody paused in Airflow: what is started then would stand still."""

    def release(self, training_id: str) -> None:
        """Take back such a pause."""

    def start(self, training_id: str, due: float, start: Start | None = None) -> str | None:
        """Start the run that is due at a moment and return its id; None if there is no such DAG. Twice starts one.

        `start` says which id it gets and what it has of its own, where it has.
        """

    def newest(self, training_ids: Collection[str]) -> Mapping[str, str]:
        """Return the newest run of each that has one."""

    def trained_on(self, training_id: str) -> str | None:
        """Return the version of the data that the newest run with staged data has."""


@dataclass(frozen=True)
class Retrained:
    """A training with a schedule, as people see it. `next_at` is in seconds since the epoch."""

    training: Training
    entry: Entry
    state: ScheduleState
    next_at: float | None
    last_run: str | None


@dataclass(frozen=True)
class Look:
    """A look at the data of a training that is due since a moment."""

    training_id: str
    due: float


@dataclass(frozen=True)
class Settled:
    """What was due: ids of the runs that were started, and the looks at data that somebody with a worker has to do."""

    started: Sequence[str]
    looks: Sequence[Look]


@dataclass(frozen=True)
class Retraining:
    """The use cases over their ports; what is due over `late_seconds` ago is not made up for.

    `best_point` returns the best that the search of a training has found, None where it has none yet.
    `skipped` hears of each run that is not started, why, and when (seconds since the epoch).
    """

    catalogue: Catalogue
    schedules: Schedules
    runs: ScheduledRuns
    limits: Callable[[], Limits]
    clock: Callable[[], float]
    late_seconds: float
    audit: Audit = NO_AUDIT
    best_point: Callable[[str], Mapping[str, Value] | None] = lambda _: None
    skipped: Callable[[Training, str, float], object] = lambda *_: None

    def all(self, caller: Caller, limit: int = _NO_PAGE, offset: int = 0) -> tuple[list[Retrained], int]:
        """Return a page of the schedules that the caller may see, the next due first, and how many there are."""
        limits = self.limits()
        hidden = self.catalogue.deletions.trainings()
        entries = (entry for entry in self.schedules.all() if entry.training_id not in hidden)
        pairs = ((entry, self.catalogue.get(entry.training_id)) for entry in entries)
        mine = [
            (entry, training) for entry, training in pairs if training and may_see(caller, training.account, limits)
        ]
        held = self.runs.held([training.id for _, training in mine])
        seen = sorted((self._seen(training, entry, training.id in held) for entry, training in mine), key=_by_time)
        return self._with_last_runs(seen[offset : offset + limit]), len(seen)

    def one(self, training_id: str, caller: Caller) -> Retrained:
        """Return a schedule; raise TrainyardError C107 if there is none that the caller may see."""
        found = self.of(training_id)
        if found is None or not may_see(caller, found.training.account, self.limits()):
            hint = "`trainyard schedules` shows those there are; a schedule goes by the id of its first run."
            raise TrainyardError("C107", f"there is no schedule of {training_id}", hint)
        return found

    def of(self, training_id: str) -> Retrained | None:
        """Return the schedule of a training; None if it has none."""
        entry, training = self.schedules.get(training_id), self.catalogue.get(training_id)
        if entry is None or training is None or training_id in self.catalogue.deletions.trainings():
            return None
        return self._with_last_runs([self._seen(training, entry, self._is_held(training_id))])[0]

    def set(self, training_id: str, state: ScheduleState, caller: Caller) -> Retrained:
        """Pause a schedule, go on with it, or end it for good; raise C111 if it has ended.

        Runs that are going are left alone. What was due during a pause is not made up for.
        """
        with self.schedules.locked(), self.audit.action(caller, _ACTIONS[state], training=training_id) as known:
            seen, now = self.one(training_id, caller), self.clock()
            entry, known["account"] = seen.entry, seen.training.account
            if not entry.lives(now):
                raise TrainyardError("C111", f"the schedule of {training_id} has ended", "Submit the training again.")
            paused, ended = state is ScheduleState.PAUSED, state is ScheduleState.ENDED
            # Going on with one that was never paused must not drop what is due just now.
            settled = now if entry.progress.paused else entry.progress.settled
            waiting = None if paused or ended else entry.progress.waiting
            self.schedules.keep(entry.with_progress(Progress(settled, waiting, paused, ended)))
            if state is ScheduleState.ACTIVE:
                self.runs.release(training_id)
        return self.one(training_id, caller)

    def settle(self, caller: Caller) -> Settled:
        """Start every run that is due and say which data has to be looked at; raise C106 for anybody but an admin."""
        self._only_the_service(caller)
        started: list[str] = []
        looks: list[Look] = []
        # The schedule of a deleted training stands still.
        for training_id in sorted(self.schedules.ids() - self.catalogue.deletions.trainings()):
            with self.schedules.locked():
                entry = self.schedules.get(training_id)
                if entry and entry.is_due(self.clock()) and self.catalogue.get(training_id):
                    self._settle(entry, started, looks, caller)
        return Settled(started, looks)

    def looked(self, training_id: str, due: float, version: str | None, failure: str, caller: Caller) -> str | None:
        """Take what a look at the data found, a version or why there is none; return the run that it started.

        Raise C106 for anybody but an admin.
        """
        self._only_the_service(caller)
        with self.schedules.locked():
            entry = self.schedules.get(training_id)
            if entry is None or entry.progress.paused or entry.progress.ended:
                return None
            if training_id in self.catalogue.deletions.trainings():
                return None
            note, model_id = failure, None
            if version is not None:
                note = self._why_not(training_id, version)
                note = note or (_NO_POINT if self._no_point(training_id, entry.schedule) else "")
                model_id = None if note else self._started(training_id, due, caller)
            self.schedules.keep(entry.with_progress(entry.progress, note))
            return model_id

    def _only_the_service(self, caller: Caller) -> None:
        with self.audit.refusals(caller, Action.START_SCHEDULED):
            only_admins(caller, "starts what is due", "The service does so by itself.")

    def _started(self, training_id: str, due: float, caller: Caller) -> str | None:
        training = self.catalogue.get(training_id)
        with self.audit.refusals(caller, Action.START_SCHEDULED, training=training_id):
            model_id = self.runs.start(training_id, due, self._kept(training, due) if training else None)
        if model_id and training:
            ids = {"account": training.account, "training": training_id, "run": model_id}
            self.audit.record(caller, Action.START_SCHEDULED, **ids)
        return model_id

    def _kept(self, training: Training, due: float) -> Start | None:
        """Keep what a scheduled run has in the place of its training's values; None where it has nothing."""
        schedule = training.spec.schedule
        point = self.best_point(training.id) if schedule and schedule.point else None
        if point is None:
            return None
        start = Start(
            model_id=derived_id(training.id, f"due {due}"),
            training_id=training.id,
            owner=training.owner,
            started_at=self.clock(),
            values=overrides(training.spec, point),
            kind=Kind.SCHEDULED,
        )
        self.catalogue.starts.register(start)
        return start

    def _no_point(self, training_id: str, schedule: Schedule) -> bool:
        return bool(schedule.point) and self.best_point(training_id) is None

    def _settle(self, entry: Entry, started: list[str], looks: list[Look], caller: Caller) -> None:
        now, schedule, training_id = self.clock(), entry.schedule, entry.training_id
        going = not schedule.on_new_data and self.runs.going(training_id)
        progress, due = entry.progress.settle(schedule, now, going, self.late_seconds)
        note = "" if due else _WAITS if progress.waiting else _STILL_GOING if going else _TOO_LATE
        if due and self._is_held(training_id):
            note = _HELD
        elif due and schedule.on_new_data:
            looks.append(Look(training_id, due))
            note = entry.note
        elif due and self._no_point(training_id, schedule):
            note = _NO_POINT
        elif due:
            model_id = self._started(training_id, due, caller)
            started += [model_id] if model_id else []
            note = "" if model_id else _UNKNOWN
        # First, since twice is better than never.
        if note in _SKIPS and (training := self.catalogue.get(training_id)):
            self.skipped(training, note, now)
        self.schedules.keep(entry.with_progress(progress, note))

    def _why_not(self, training_id: str, version: str) -> str:
        if self.runs.going(training_id):
            return _TRAINS
        return _SAME if self.runs.trained_on(training_id) == version else ""

    def _is_held(self, training_id: str) -> bool:
        return training_id in self.runs.held([training_id])

    def _with_last_runs(self, seen: Sequence[Retrained]) -> list[Retrained]:
        newest = self.runs.newest([each.training.id for each in seen])
        return [replace(each, last_run=newest.get(each.training.id)) for each in seen]

    def _seen(self, training: Training, entry: Entry, held: bool) -> Retrained:
        now = self.clock()
        state = ScheduleState.PAUSED if entry.progress.paused or held else ScheduleState.ACTIVE
        if not entry.lives(now):
            state = ScheduleState.ENDED
        return Retrained(training, entry, state, entry.next_time(now), None)


def _by_time(seen: Retrained) -> tuple[float, str]:
    return seen.next_at or float("inf"), seen.training.id
