"""The controller of searches: asks for trials, ends those that do badly, stores the study. Ports are arguments."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.search import study
from trainyard.core.search.deciding import Ledger, wanted, why_over
from trainyard.core.search.ledgers import Ledgers
from trainyard.core.search.pruning import step_to_stop
from trainyard.core.search.trialruns import STOPPED_EARLY, TrialRuns, trials_of
from trainyard.core.search.trials import Trial, TrialState, best_of, trial_id
from trainyard.domain.hyperparameters import Value
from trainyard.domain.search import Pruner, SearchSpec
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

log = logging.getLogger(__name__)
# The study is stored at most so often while trials go on.
_STORE_SECONDS = 60.0
# How soon a look is worth while: trials of seconds have their successors soon, hours may wait.
_SOON_SECONDS, _LATER_SECONDS, _LONG_SECONDS = 1.0, 5.0, 300.0
# Where trials are refused, each refusal is an event of the audit log; where all have ended, the bucket has refused.
_RARELY_SECONDS = 60.0
_GIVE_UP_SECONDS = 3600.0


@dataclass(frozen=True)
class Controller:
    """Drives one search at a time, over its ports; whoever calls it holds the search meanwhile.

    `earlier` returns the trials of the search that one begins with, `room` for how many trials at once an account has
    GPUs; `ended` hears of each search that has ended, why, and its best trial.
    """

    catalogue: Catalogue
    ledgers: Ledgers
    runs: TrialRuns
    clock: Callable[[], float]
    earlier: Callable[[Training, SearchSpec], Sequence[Trial]]
    room: Callable[[Training], float]
    ended: Callable[[Training, str, Trial | None], object]

    def settle(self, training: Training, search: SearchSpec) -> float:
        """Settle one search while it is held; return after how many seconds to look again."""
        was = self.ledgers.get(training.id) or Ledger(began_at=training.submitted_at)
        trials, now = trials_of(self.runs, training, search, was), self.clock()
        ledger = self._with_curves(was, trials).with_ended(trials)
        over = ledger.over or why_over(search, ledger, trials, now)
        if over:
            ledger = replace(ledger, over=over, over_at=ledger.over_at or now, note="")
            self._end(trials, over)
        else:
            ledger = self._pruned(search, ledger, trials)
            ledger = self._asked(training, search, ledger, trials)
        done = bool(over) and all(trial.state.ended for trial in trials)
        ledger = self._stored(training, search, ledger, trials, now)
        if done and not ledger.told:  # before that is kept, since twice is better than never
            self.ended(training, over, best_of(trials, search.goal))
            ledger = replace(ledger, told=True)
        active = not done or ledger.stored != len(ledger.ended)
        if ledger != was or not active:
            self.ledgers.keep(training.id, ledger, active=active)
        return _RARELY_SECONDS if done or ledger.note else _look_again(trials)

    def _asked(self, training: Training, search: SearchSpec, ledger: Ledger, trials: list[Trial]) -> Ledger:
        """Start the trials that are due: points that the infrastructure kept from a run first, then new ones."""
        seed, note = study.seed_of(search, training.id), ""
        earlier = self.earlier(training, search)
        try:
            for trial in [one for one in trials if one.again]:
                self._start(training, replace(trial, attempt=trial.attempt + 1))
            for _ in range(wanted(search, ledger, trials, self.room(training))):
                number = max([ledger.asked - 1, *(trial.number for trial in trials)]) + 1
                asked = _next_point(search, trials, number, seed, earlier)
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

    def _pruned(self, search: SearchSpec, ledger: Ledger, trials: Sequence[Trial]) -> Ledger:
        """End the trials that the pruner gives up, also those whose end was not heard of."""
        if search.pruner is Pruner.NONE:
            return ledger
        for trial in trials:
            if trial.state is not TrialState.RUNNING:
                continue
            step = ledger.stopping.get(trial.number) or step_to_stop(search, trials, trial.number)
            run = self.runs.find(trial.model_id) if step is not None else None
            if run is not None and run.phase is Phase.TRAINING:
                ledger = replace(ledger, stopping={**ledger.stopping, trial.number: step or 0})
                self.runs.end_early(run, f"{STOPPED_EARLY} at step {step}")
        return ledger

    def _end(self, trials: Sequence[Trial], why: str) -> None:
        for trial in trials:
            run = None if trial.state.ended else self.runs.find(trial.model_id)
            if run is None or run.state.terminal or run.phase is Phase.STORING:
                continue
            try:
                if trial.state is TrialState.RUNNING:
                    self.runs.end_early(run, f"{STOPPED_EARLY}: {why}")
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
        """Store the study where results go, when there is news and it is time; a store that refuses stops nothing.

        When all has ended it is tried for an hour, as a store that is started again takes it then.
        """
        count = len(ledger.ended)
        done = bool(ledger.over) and all(trial.state.ended for trial in trials)
        last = ledger.refused_at if done else max(ledger.stored_at, ledger.refused_at)
        if count in (0, ledger.stored) or now - last < _STORE_SECONDS:
            return ledger
        data = {"search": search.as_dict(), "training_id": training.id, **study.study_json(search, trials)}
        try:
            self.runs.store(training, self._study_name(training), data)
        except TrainyardError as error:
            log.warning("The study of %s is not stored: %s", training.id, error)
            if not done or now - (ledger.over_at or now) < _GIVE_UP_SECONDS:
                return replace(ledger, refused_at=now)
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


def _next_point(
    search: SearchSpec, trials: Sequence[Trial], number: int, seed: int, earlier: Sequence[Trial]
) -> tuple[dict[str, Value], dict[str, Any]] | None:
    """Ask for a point; raise TrainyardError, which people are shown, whatever the sampler fails of."""
    try:
        return study.ask(search, trials, number, seed, earlier)
    except TrainyardError:
        raise
    except Exception as error:
        log.exception("The sampler %s has no point for trial %s", search.sampler, number)
        message = f"the sampler {search.sampler} failed: {error}"
        raise TrainyardError("S500", message, "The log of the api-server has the traceback.") from None


def _look_again(trials: Sequence[Trial]) -> float:
    lengths = [seconds for trial in trials if (seconds := trial.seconds) is not None]
    return _LATER_SECONDS if lengths and min(lengths) > _LONG_SECONDS else _SOON_SECONDS
