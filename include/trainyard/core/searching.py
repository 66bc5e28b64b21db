"""Searches as people have them: seen, paused, resumed, canceled, extended; and driven, one after the other."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from trainyard.core.accounts import Caller, may_see, only_admins
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.search import study
from trainyard.core.search.controller import Controller
from trainyard.core.search.deciding import Ledger, seconds_left, total_of
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.search.trialruns import TrialRuns, trials_of
from trainyard.core.search.trials import Trial, best_of
from trainyard.domain.hyperparameters import Value
from trainyard.domain.limits import Limits
from trainyard.domain.search import MAX_TRIALS, SearchSpec
from trainyard.errors import TrainyardError

log = logging.getLogger(__name__)
# A search that cannot be looked at is looked at again after so long.
_TROUBLE_SECONDS = 5.0
_NO_SEARCH_HINT = "A search is an experiment whose manifest says `search`; `trainyard list` shows the runs there are."


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

    @property
    def _controller(self) -> Controller:
        parts = (self.catalogue, self.ledgers, self.runs, self.clock, self._earlier, self._room)
        return Controller(*parts, self.ended)

    def settle(self, caller: Caller) -> float | None:
        """Do whatever searches wait for; return after how many seconds to look again, None while none goes on.

        Raise C106 for anybody but an admin.
        """
        with self.audit.refusals(caller, Action.START_SCHEDULED):
            only_admins(caller, "drives searches", "The service does so by itself.")
        soon: list[float] = []
        # The search of a deleted training stands still.
        for training_id in sorted(self.ledgers.active() - self.catalogue.deletions.trainings()):
            training = self.catalogue.get(training_id)
            if training is None or training.spec.search is None:
                continue  # it is being registered, or is gone
            try:
                with self.ledgers.locked(training_id):
                    soon.append(self._controller.settle(training, training.spec.search))
            except Exception:  # one search that cannot be looked at keeps no other
                log.exception("The search %s cannot be looked at.", training_id)
                soon.append(_TROUBLE_SECONDS)
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
        trials = trials_of(self.runs, training, search, ledger)
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
        best = best_of(trials_of(self.runs, training, search, ledger), search.goal)
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
        """Give a search more trials, also one that is over; raise C110 for more than a search may have.

        What has ended one that is over does not end it at once again: `stop` counts from here on.
        """

        def extended(ledger: Ledger) -> Ledger:
            if ledger.over:
                ledger = replace(ledger, anew_from=ledger.asked, anew_at=self.clock(), told=False)
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
        limits, hidden = self.limits(), self.catalogue.deletions.trainings()
        there = (one for one in self.catalogue.trainings() if one.id not in hidden)
        mine = [one for one in there if may_see(caller, one.account, limits)]
        named = [one for one in mine if one.experiment == name and one.spec.search]
        found = max(named, key=lambda one: one.submitted_at, default=None)
        found = found or next((one for one in mine if one.id == name), None)
        if found is None and (run := self.runs.find(name)):
            found = next((one for one in mine if one.id == run.training_id), None)
        whole = self.catalogue.get(found.id) if found else None
        if whole is None:
            raise TrainyardError("C107", f"there is no search {name[:80]}", _NO_SEARCH_HINT)
        return whole

    def _room(self, training: Training) -> float:
        """Return for how many trials at once the account has GPUs; no end of them where they need none."""
        account, gpus = self.limits().accounts.get(training.account), training.plan.all_gpus
        return (account.gpus // gpus if account else 0) if gpus else math.inf

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
        return trials_of(self.runs, found, found.spec.search, self.ledgers.get(found.id) or Ledger())
