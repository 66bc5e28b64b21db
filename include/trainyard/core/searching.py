"""Searches: one controller asks for trials, ends what does badly, and says how far it is. Ports are arguments."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from trainyard.core.accounts import Caller, may_see, only_admins
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.runs import Run
from trainyard.core.search import study
from trainyard.core.search.deciding import MAX_ATTEMPTS, Ledger, seconds_left, total_of, wanted, why_over
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.search.trials import Trial, TrialState, best_of, metric_among, point_of, thinned, trial_id
from trainyard.domain.hyperparameters import Value
from trainyard.domain.limits import Limits
from trainyard.domain.search import MAX_TRIALS, Pruner, SearchSpec
from trainyard.domain.states import Phase, State
from trainyard.errors import Fault, TrainyardError

log = logging.getLogger(__name__)
_STOPPED = "stopped early"
# The study is stored at most so often while trials go on.
_STORE_SECONDS = 60.0
# How soon a look is worth while: trials of seconds have their successors soon, hours may wait.
_SOON_SECONDS, _LATER_SECONDS, _LONG_SECONDS = 1.0, 5.0, 300.0
# Where trials are refused, each refusal is an event of the audit log.
_NOTED_SECONDS = 60.0
_NO_SEARCH_HINT = "A search is an experiment whose manifest says `search`; `trainyard list` shows the runs there are."


class TrialRuns(Protocol):
    """The runs of trials."""

    def values(self, model_id: str) -> Mapping[str, Value] | None:
        """Return what a run was started with in the place of its manifest's values; None if nobody asked for it."""

    def start(self, training: Training, model_id: str, number: int, point: Mapping[str, Value]) -> None:
        """Start a run; once, however often it is asked for. Raise TrainyardError where it cannot be."""

    def find(self, model_id: str) -> Run | None:
        """Return a run, also one that Airflow does not have yet; None where it was deleted."""

    def curve(self, run: Run, metric: str) -> Sequence[tuple[float, float]]:
        """Return steps and values of a metric as far as they are known."""

    def end_early(self, run: Run, words: str) -> None:
        """End a run whose program runs, so that it is completed and says so; done again it does no harm."""

    def cancel(self, run: Run) -> None:
        """Cancel a run whose program does not run yet."""

    def store(self, training: Training, name: str, data: Mapping[str, Any]) -> None:
        """Store a search's study in its results bucket."""


@dataclass(frozen=True)
class SearchSeen:
    """A search as people see it, with its trials in order; `seconds_left` where that is known."""

    training: Training
    search: SearchSpec
    ledger: Ledger
    trials: Sequence[Trial]
    seconds_left: float | None = None

    @property
    def state(self) -> str:
        if self.ledger.over:
            return "canceled" if self.ledger.canceled else "over"
        return "paused" if self.ledger.paused else "running"

    @property
    def best(self) -> Trial | None:
        return best_of(self.trials, self.search.goal)

    @property
    def total(self) -> int:
        return total_of(self.search, self.ledger)

    def importances(self) -> dict[str, float]:
        return study.importances(self.search, self.trials)


@dataclass(frozen=True)
class Searching:
    """The use cases over their ports; `ended` hears of each search that has ended, why, and its best trial."""

    catalogue: Catalogue
    runs: TrialRuns
    limits: Callable[[], Limits]
    clock: Callable[[], float]
    audit: Audit = NO_AUDIT
    ended: Callable[[Training, str, Trial | None], object] = lambda *_: None

    @property
    def ledgers(self) -> Ledgers:
        return Ledgers(self.catalogue.folder / SEARCHES)

    def settle(self, caller: Caller) -> float | None:
        """Do whatever searches wait for; return after how many seconds to look again, None while none goes on.

        Raise C106 for anybody but an admin.
        """
        with self.audit.refusals(caller, Action.START_SCHEDULED):
            only_admins(caller, "drives searches", "The service does so by itself.")
        soon: list[float] = []
        for training_id in sorted(self.ledgers.active()):
            training = self.catalogue.get(training_id)
            if training is None or training.spec.search is None:
                continue  # it is being registered, or is gone
            try:
                with self.ledgers.locked(training_id):
                    soon.append(self._settled(training, training.spec.search))
            except Exception:  # one search that cannot be looked at keeps no other
                log.exception("The search %s cannot be looked at.", training_id)
                soon.append(_LATER_SECONDS)
        return min(soon) if soon else None

    def seen(self, name: str, caller: Caller) -> SearchSeen:
        """Return a search by its experiment, its training or one of its trials; the newest of an experiment's.

        Raise C107 if there is none that the caller may see.
        """
        training = self._training(name, caller)
        search = training.spec.search
        if search is None:
            raise TrainyardError("C107", f"{name} is no search", _NO_SEARCH_HINT)
        ledger = self.ledgers.get(training.id) or Ledger(began_at=training.submitted_at)
        trials = self._trials(training, search, ledger)
        return SearchSeen(training, search, ledger, trials, seconds_left(search, ledger, trials, self.clock()))

    def best(self, name: str, caller: Caller) -> str:
        """Return the model id of a search's best trial; raise C111 where no trial has a value yet."""
        seen = self.seen(name, caller)
        if seen.best is None:
            message = f"no trial of {name} has a value of {seen.search.metric} yet"
            raise TrainyardError("C111", message, f"`trainyard experiments show {name}` shows how they go.")
        return seen.best.model_id

    def best_point(self, training_id: str) -> Mapping[str, Value] | None:
        """Return the best point that the search of a training has found; None where it has none yet."""
        training = self.catalogue.get(training_id)
        if training is None or training.spec.search is None:
            return None
        search, ledger = training.spec.search, self.ledgers.get(training_id) or Ledger()
        best = best_of(self._trials(training, search, ledger), search.goal)
        return best.point if best else None

    def pause(self, name: str, caller: Caller) -> SearchSeen:
        """Start no trial any more until it is resumed; those that go on are left alone."""
        return self._changed(name, caller, Action.PAUSE_SEARCH, lambda ledger: replace(ledger, paused=True))

    def resume(self, name: str, caller: Caller) -> SearchSeen:
        return self._changed(name, caller, Action.RESUME_SEARCH, lambda ledger: replace(ledger, paused=False))

    def cancel(self, name: str, caller: Caller) -> SearchSeen:
        """End a search: trials that wait are canceled, programs that run are ended early with what they have made."""
        return self._changed(name, caller, Action.CANCEL_SEARCH, lambda ledger: replace(ledger, canceled=True))

    def extend(self, name: str, more: int, caller: Caller) -> SearchSeen:
        """Give a search more trials, also one that is over; raise C110 for more than a search may have."""

        def extended(ledger: Ledger) -> Ledger:
            return replace(ledger, more=ledger.more + more, over="", over_at=None, canceled=False, paused=False)

        seen = self.seen(name, caller)
        if not more >= 1 or seen.total + more > MAX_TRIALS:
            left = MAX_TRIALS - seen.total
            raise TrainyardError("C110", f"{name} cannot have {more} trials more", f"Add 1 to {left}.")
        if seen.search.space == {}:
            raise TrainyardError("C110", f"{name} tries a list of points", "Submit another one with the new points.")
        return self._changed(name, caller, Action.EXTEND_SEARCH, extended)

    def _changed(self, name: str, caller: Caller, action: Action, change: Callable[[Ledger], Ledger]) -> SearchSeen:
        with self.audit.action(caller, action, training=name) as known:
            training = self.seen(name, caller).training
            known.update(training=training.id, account=training.account)
            with self.ledgers.locked(training.id):
                ledger = self.ledgers.get(training.id) or Ledger(began_at=training.submitted_at)
                if ledger.over and action is not Action.EXTEND_SEARCH:
                    hint = f"`trainyard experiments extend {name} --trials +20` goes on with it."
                    raise TrainyardError("C111", f"{name} is over: {ledger.over}", hint)
                self.ledgers.keep(training.id, change(ledger))
        return self.seen(training.id, caller)

    def _training(self, name: str, caller: Caller) -> Training:
        limits = self.limits()
        mine = [one for one in self.catalogue.trainings() if may_see(caller, one.account, limits)]
        named = [one for one in mine if one.experiment == name and one.spec.search]
        found = max(named, key=lambda one: one.submitted_at, default=None)
        found = found or next((one for one in mine if one.id == name), None)
        if found is None and (run := self.runs.find(name)):
            found = next((one for one in mine if one.id == run.training_id), None)
        whole = self.catalogue.get(found.id) if found else None
        if whole is None:
            raise TrainyardError("C107", f"there is no search {name[:80]}", _NO_SEARCH_HINT)
        return whole

    def _settled(self, training: Training, search: SearchSpec) -> float:
        """Settle one search while it is held; return after how many seconds to look again."""
        was = self.ledgers.get(training.id) or Ledger(began_at=training.submitted_at)
        trials, now = self._trials(training, search, was), self.clock()
        ledger = self._with_curves(was, trials).with_ended(trials)
        over = ledger.over or why_over(search, ledger, trials, now)
        if over:
            ledger = replace(ledger, over=over, over_at=ledger.over_at or now)
            self._end(trials, over)
        else:
            ledger = self._pruned(search, ledger, trials)
            ledger = self._asked(training, search, ledger, trials)
        ledger = self._stored(training, search, ledger, trials, now)
        active = not over or not all(trial.state.ended for trial in trials) or ledger.stored != len(ledger.ended)
        if not active:  # first, since twice is better than never
            self.ended(training, over, best_of(trials, search.goal))
        if ledger != was or not active:
            self.ledgers.keep(training.id, ledger, active=active)
        return _NOTED_SECONDS if ledger.note else _look_again(trials)

    def _asked(self, training: Training, search: SearchSpec, ledger: Ledger, trials: list[Trial]) -> Ledger:
        """Start the trials that are due: points that the infrastructure kept from a run first, then new ones."""
        seed, note = study.seed_of(search, training.id), ""
        earlier = self._earlier(training, search)
        try:
            for trial in [one for one in trials if one.again]:
                self._start(training, replace(trial, attempt=trial.attempt + 1))
            for _ in range(wanted(search, ledger, trials)):
                number = max([ledger.asked - 1, *(trial.number for trial in trials)]) + 1
                asked = study.ask(search, trials, number, seed, earlier)
                if asked is None:
                    ledger = replace(ledger, more=number - search.trials)
                    break
                trial = Trial(number, asked[0], TrialState.WAITING, trial_id(training.id, number), attrs=asked[1])
                self._start(training, trial)
                trials.append(trial)
                attrs = {**ledger.attrs, number: asked[1]} if asked[1] else ledger.attrs
                ledger = replace(ledger, asked=number + 1, attrs=attrs)
        except TrainyardError as error:
            note = f"no trial can be started: {error.message}"
        return replace(ledger, note=note)

    def _start(self, training: Training, trial: Trial) -> None:
        self.runs.start(training, trial_id(training.id, trial.number, trial.attempt), trial.number, trial.point)

    def _earlier(self, training: Training, search: SearchSpec) -> Sequence[Trial]:
        """Return the trials of the search that this one begins with, as its owner may see it."""
        if not search.like:
            return ()
        try:
            found = self._training(search.like, Caller(training.owner))
        except TrainyardError:
            return ()
        if found.id == training.id or found.account != training.account or found.spec.search is None:
            return ()
        if found.spec.search.goal is not search.goal:
            return ()
        return self._trials(found, found.spec.search, self.ledgers.get(found.id) or Ledger())

    def _pruned(self, search: SearchSpec, ledger: Ledger, trials: Sequence[Trial]) -> Ledger:
        """End the trials that the pruner gives up, also those whose end was not heard of."""
        if search.pruner is Pruner.NONE:
            return ledger
        for trial in trials:
            if trial.state is not TrialState.RUNNING:
                continue
            step = ledger.stopping.get(trial.number) or study.step_to_stop(search, trials, trial.number)
            run = self.runs.find(trial.model_id) if step is not None else None
            if run is not None and run.phase is Phase.TRAINING:
                ledger = replace(ledger, stopping={**ledger.stopping, trial.number: step or 0})
                self.runs.end_early(run, f"{_STOPPED} at step {step}")
        return ledger

    def _end(self, trials: Sequence[Trial], why: str) -> None:
        for trial in trials:
            run = None if trial.state.ended else self.runs.find(trial.model_id)
            if run is None or run.state.terminal or run.phase is Phase.STORING:
                continue
            try:
                if trial.state is TrialState.RUNNING:
                    self.runs.end_early(run, f"{_STOPPED}: {why}")
                else:
                    self.runs.cancel(run)
            except TrainyardError as error:
                log.warning("%s cannot be ended yet: %s", trial.model_id, error)

    def _with_curves(self, ledger: Ledger, trials: Sequence[Trial]) -> Ledger:
        """Keep what trials that go on have reported: of one that has ended it is gone."""
        seen = {trial.number: trial.reported for trial in trials if not trial.state.ended and trial.reported}
        return replace(ledger, seen=seen)

    def _stored(
        self, training: Training, search: SearchSpec, ledger: Ledger, trials: Sequence[Trial], now: float
    ) -> Ledger:
        """Store the study where results go, when there is news and it is time; a store that refuses stops nothing."""
        count = len(ledger.ended)
        done = bool(ledger.over) and all(trial.state.ended for trial in trials)
        if count in (0, ledger.stored) or (not done and now - ledger.stored_at < _STORE_SECONDS):
            return ledger
        data = {"search": search.as_dict(), "training_id": training.id, **study.study_json(search, trials)}
        try:
            self.runs.store(training, self._study_name(training), data)
        except TrainyardError as error:
            log.warning("The study of %s is not stored: %s", training.id, error)
            if not done:
                return replace(ledger, stored_at=now)
        return replace(ledger, stored=count, stored_at=now)

    def _study_name(self, training: Training) -> str:
        """Return where the study lies; of several searches in an experiment the later ones have their id there too."""
        folder = re.sub(r"[^\w .@+=-]", "-", training.experiment).strip(". ") or training.id
        others = (
            one
            for one in self.catalogue.trainings()
            if one.account == training.account and one.experiment == training.experiment and one.spec.search
        )
        first = min(others, key=lambda one: (one.submitted_at, one.id), default=training)
        return f"{folder}/study.json" if first.id == training.id else f"{folder}/study-{training.id}.json"

    def _trials(self, training: Training, search: SearchSpec, ledger: Ledger) -> list[Trial]:
        """Return all trials that were asked for, from their runs, and from the ledger what these no longer tell."""
        found: list[Trial] = []
        number = 0
        while number < ledger.asked or self.runs.values(trial_id(training.id, number)) is not None:
            found.append(ledger.ended.get(number) or self._trial(training, search, ledger, number))
            number += 1
        return [replace(trial, attrs=ledger.attrs.get(trial.number, {})) for trial in found]

    def _trial(self, training: Training, search: SearchSpec, ledger: Ledger, number: int) -> Trial:
        attempt = 0
        while self.runs.values(trial_id(training.id, number, attempt + 1)) is not None:
            attempt += 1
        model_id = trial_id(training.id, number, attempt)
        run = self.runs.find(model_id)
        values = {**training.spec.hyperparameters, **(self.runs.values(model_id) or {})}
        trial = Trial(number, point_of(search, values), TrialState.CANCELED, model_id, attempt=attempt)
        return self._as_run(trial, run, search, ledger) if run else trial

    def _as_run(self, trial: Trial, run: Run, search: SearchSpec, ledger: Ledger) -> Trial:
        outcome = run.outcome
        if run.state is State.ERROR and outcome and outcome.fault is Fault.SERVICE and trial.attempt + 1 < MAX_ATTEMPTS:
            return replace(trial, state=TrialState.FAILED if ledger.over else TrialState.WAITING, again=not ledger.over)
        curve = thinned(self.runs.curve(run, search.metric)) or ledger.seen.get(trial.number, ())
        metrics = outcome.metrics if outcome else {}
        last = metrics.get(metric_among(search.metric, metrics), {}).get("last")
        value = curve[-1][1] if last is None and curve else last
        stopped = bool(outcome and outcome.message.startswith(_STOPPED))
        states = {
            State.PENDING: TrialState.WAITING,
            State.RUNNING: TrialState.RUNNING if run.running_at else TrialState.WAITING,
            State.COMPLETED: TrialState.STOPPED if stopped else TrialState.COMPLETED,
            State.CANCELED: TrialState.CANCELED,
        }
        return replace(
            trial,
            state=states.get(run.state, TrialState.FAILED),
            value=value,
            reported=curve,
            began_at=run.running_at,
            ended_at=run.finished_at or (outcome.finished_at if outcome else None),
            gpu_seconds=outcome.gpu_seconds if outcome else 0.0,
        )


def _look_again(trials: Sequence[Trial]) -> float:
    lengths = [seconds for trial in trials if (seconds := trial.seconds) is not None]
    return _LATER_SECONDS if lengths and min(lengths) > _LONG_SECONDS else _SOON_SECONDS
