"""The controller of searches over runs in memory: what it starts and ends, whatever dies on the way."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from samples import LIMITS, MODEL_ID, training

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.runs import Run
from trainyard.core.search.deciding import MAX_ATTEMPTS, Ledger
from trainyard.core.search.trials import trial_id
from trainyard.core.searching import Searching
from trainyard.domain.outcome import Outcome
from trainyard.domain.search import Goal, Pruner, Real, Sampler, SearchSpec, Stop
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

ADA, MALLORY, ROOT = Caller("ada"), Caller("mallory"), Caller("root", admin=True)
SEARCH = SearchSpec("acc", Goal.MAXIMIZE, 12, {"lr": Real(0.0, 1.0)}, parallel=4, sampler=Sampler.RANDOM, seed=3)


class Killed(BaseException):
    """The process ends at this very moment."""


class TrialRuns:
    """Runs in memory; `dies_at` says after which call the caller is killed."""

    def __init__(self):
        self.starts, self.runs, self.curves, self.stored, self.ended, self.calls = {}, {}, {}, {}, [], []
        self.dies_at, self.refuses, self.store_refuses = None, "", False

    def values(self, model_id):
        return self.starts.get(model_id)

    def start(self, training, model_id, number, point):
        if self.refuses:
            raise TrainyardError("C104", self.refuses, "Ask for more.")
        self._maybe_die()
        self.calls.append(model_id)
        if model_id not in self.starts:
            self.starts[model_id] = dict(point)
            self.make(training, model_id)
        self._maybe_die()

    def make(self, training, model_id):
        values = {**training.spec.hyperparameters, **self.starts[model_id]}
        self.runs[model_id] = Run(
            model_id, training.id, "tf", "vision", "tf", 1, Phase.QUEUED, 1000.0, hyperparameters=values
        )

    def find(self, model_id):
        return self.runs.get(model_id)

    def curve(self, run, metric):
        return self.curves.get(run.model_id, ())

    def end_early(self, run, words):
        self.ended.append((run.model_id, words))
        self._maybe_die()

    def cancel(self, run):
        self.end(run.model_id, code="C204")

    def store(self, training, name, data):
        if self.store_refuses:
            raise TrainyardError("S303", "the bucket is away", "Try again.")
        self.stored[name] = data

    def begin(self, model_id, at=1000.0):
        self.runs[model_id] = replace(self.runs[model_id], phase=Phase.TRAINING, running_at=at)

    def end(self, model_id, value=None, code=None, message="", at=2000.0):
        metrics = {} if value is None else {"acc": {"last": value}}
        outcome = Outcome(code, message, metrics=metrics, gpu_seconds=5.0)
        self.runs[model_id] = replace(self.runs[model_id], phase=Phase.DONE, outcome=outcome, finished_at=at)

    def going(self):
        return [run for run in self.runs.values() if not run.state.terminal]

    def _maybe_die(self):
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at < 0:
                self.dies_at = None
                raise Killed


@pytest.fixture
def yard(tmp_path):
    """Searches over a real catalogue and runs in memory, with one that has just been registered."""
    there = SimpleNamespace(now=1000.0, runs=TrialRuns(), catalogue=Catalogue(tmp_path / "catalogue"))
    there.heard = []
    heard = lambda one, why, best: there.heard.append((one.id, why, best.model_id if best else ""))  # noqa: E731
    there.searching = Searching(there.catalogue, there.runs, lambda: LIMITS, lambda: there.now, ended=heard)

    def register(search=SEARCH, training_id=MODEL_ID, experiment="tuning", **changes):
        one = training(training_id, search=search, hyperparameters={"lr": 0.5}, experiment=experiment, **changes)
        there.catalogue.add(one)
        there.runs.starts[training_id] = {"lr": 0.25}
        there.runs.make(one, training_id)
        there.searching.ledgers.keep(training_id, Ledger(began_at=there.now, asked=1))
        return one

    there.register = register
    there.settle = lambda: there.searching.settle(ROOT)
    there.seen = lambda name="tuning", caller=ADA: there.searching.seen(name, caller)
    return there


def train(yard, run):
    """Let a run train to its end."""
    yard.runs.begin(run.model_id)
    yard.runs.end(run.model_id, value=-abs(run.hyperparameters["lr"] - 0.7))


def test_as_many_trials_go_on_as_may_until_all_are_done(yard):
    yard.register()
    while yard.settle() is not None:
        assert 1 <= len(yard.runs.going()) <= 4
        train(yard, yard.runs.going()[0])
        yard.now += 60
        if len(yard.runs.starts) == 12 and not yard.runs.going():
            yard.settle()
            break
    seen = yard.seen()
    assert (seen.state, seen.ledger.over, len(seen.trials)) == ("over", "all its trials have ended", 12)
    assert sorted(yard.runs.starts) == sorted(trial_id(MODEL_ID, number) for number in range(12))
    assert yard.searching.best("tuning", ADA) == seen.best.model_id
    assert yard.settle() is None
    (data,) = yard.runs.stored.values()
    assert list(yard.runs.stored) == ["tuning/study.json"]
    assert [row["state"] for row in data["trials"]] == ["COMPLETE"] * 12


@pytest.mark.parametrize("seed", range(10))
def test_whatever_dies_when_no_trial_is_lost_and_none_is_doubled(yard, seed):
    chance = random.Random(seed)
    yard.register(replace(SEARCH, pruner=Pruner.MEDIAN))
    for _ in range(300):
        yard.runs.dies_at = chance.choice([None, 0, 1, 2, 3])
        try:
            yard.settle()
        except Killed:
            if chance.random() < 0.3:  # with all that was not in the runs
                yard.searching.ledgers.remove(MODEL_ID)
                yard.searching.ledgers.keep(MODEL_ID, Ledger(began_at=1000.0))
        yard.runs.dies_at = None
        if (going := yard.runs.going()) and chance.random() < 0.7:
            train(yard, chance.choice(going))
        yard.now += 120
        if not yard.searching.ledgers.active():
            break
    seen = yard.seen()
    assert seen.ledger.over == "all its trials have ended"
    assert sorted(yard.runs.starts) == sorted(trial_id(MODEL_ID, number) for number in range(12))
    assert len({tuple(point.items()) for point in yard.runs.starts.values()}) == 12


def test_a_trial_that_is_being_stored_has_its_successor_and_is_known_by_its_curve(yard):
    yard.register(replace(SEARCH, trials=3, parallel=1))
    first, second = MODEL_ID, trial_id(MODEL_ID, 1)
    yard.runs.begin(first)
    yard.settle()
    assert list(yard.runs.starts) == [first]
    yard.runs.runs[first] = replace(yard.runs.runs[first], phase=Phase.STORING)
    yard.settle()
    assert list(yard.runs.starts) == [first]  # how it went is not known yet
    yard.runs.curves[first] = [(1, 0.25), (2, 0.5)]
    yard.settle()
    assert list(yard.runs.starts) == [first, second]
    yard.runs.end(first, value=0.5)
    yard.settle()
    assert list(yard.runs.starts) == [first, second]


def test_short_trials_wait_in_the_queue_only_where_the_account_has_no_gpus_for_them(yard):
    account = LIMITS.accounts["vision"]
    for gpus, going in ((4, 6), (5, 4)):
        limits = replace(LIMITS, accounts={"vision": replace(account, gpus=gpus)})
        yard.searching = replace(yard.searching, limits=lambda limits=limits: limits)
        one = yard.register(training_id=f"training-Gpus0000{gpus}", experiment=f"with {gpus}")
        assert one.plan.all_gpus == 1
        yard.settle()
        yard.runs.begin(one.id, at=1995.0)
        yard.runs.end(one.id, value=0.1, at=2000.0)
        yard.settle()
        yard.settle()
        mine = [run for run in yard.runs.going() if run.training_id == one.id]
        assert len(mine) == going


def test_a_trial_that_fails_counts_and_one_that_the_infrastructure_took_is_tried_again(yard):
    yard.register(replace(SEARCH, trials=2, parallel=2))
    yard.settle()
    first, second = MODEL_ID, trial_id(MODEL_ID, 1)
    yard.runs.end(first, code="C201")
    for attempt in range(1, MAX_ATTEMPTS):
        yard.runs.end(trial_id(MODEL_ID, 1, attempt - 1), code="S102")
        yard.settle()
        assert yard.runs.starts[trial_id(MODEL_ID, 1, attempt)] == yard.runs.starts[second]
    assert [trial.state for trial in yard.seen().trials] == ["failed", "waiting"]
    yard.runs.end(trial_id(MODEL_ID, 1, MAX_ATTEMPTS - 1), code="S102")
    yard.settle()
    assert [trial.state for trial in yard.seen().trials] == ["failed", "failed"]
    assert yard.seen().state == "over"


def test_what_does_badly_is_ended_early_and_completed(yard):
    yard.register(replace(SEARCH, pruner=Pruner.MEDIAN, parallel=6))
    yard.settle()
    *good, bad = [run.model_id for run in yard.runs.going()]
    for model_id in good:
        yard.runs.begin(model_id)
        yard.runs.curves[model_id] = [(1, 0.5), (2, 0.9)]
        yard.runs.end(model_id, value=0.9)
    yard.runs.begin(bad)
    yard.runs.curves[bad] = [(1, 0.1), (2, 0.2)]
    yard.settle()
    yard.settle()
    assert yard.runs.ended == [(bad, "stopped early at step 2")] * 2  # until it is heard of
    yard.runs.end(bad, value=0.2, message="stopped early at step 2")
    yard.settle()
    trial = next(trial for trial in yard.seen().trials if trial.model_id == bad)
    assert (trial.state, trial.value, trial.reported) == ("stopped", 0.2, ((1, 0.1), (2, 0.2)))


def test_a_value_that_is_good_enough_ends_it_with_what_still_goes_on(yard):
    yard.register(replace(SEARCH, stop=Stop(value=0.9)))
    yard.settle()
    first, running, *waiting = [run.model_id for run in yard.runs.going()]
    yard.runs.begin(running)
    yard.runs.end(first, value=0.95)
    yard.settle()
    assert yard.runs.ended == [(running, "stopped early: acc has reached 0.9")]
    assert {yard.runs.runs[model_id].state for model_id in waiting} == {"canceled"}
    assert len(yard.runs.starts) == 4
    assert yard.heard == []
    yard.runs.end(running, value=0.1, message="stopped early: acc has reached 0.9")
    yard.settle()
    assert yard.settle() is None
    assert yard.heard == [(MODEL_ID, "acc has reached 0.9", first)]


class TestStoring:
    @pytest.fixture
    def refused(self, yard):
        """A search of one trial that has ended while its bucket was away."""
        yard.register(replace(SEARCH, trials=1))
        train(yard, yard.runs.going()[0])
        yard.runs.store_refuses = True
        yard.settle()
        assert (yard.seen().state, yard.runs.stored) == ("over", {})
        return yard

    def test_a_study_that_its_bucket_refuses_is_stored_when_it_is_back_and_its_end_is_told_once(self, refused):
        refused.now += 100
        assert refused.settle() is not None
        refused.runs.store_refuses = False
        assert (refused.settle(), refused.runs.stored) == (60.0, {})  # it is not asked at every look
        refused.now += 100
        refused.settle()
        assert list(refused.runs.stored) == ["tuning/study.json"]
        assert refused.settle() is None
        assert len(refused.heard) == 1

    def test_a_bucket_that_stays_away_is_given_up(self, refused):
        refused.now += 3700
        refused.settle()
        assert refused.settle() is None
        assert refused.runs.stored == {}


class TestTelling:
    def test_a_paused_search_starts_nothing_until_it_is_resumed(self, yard):
        yard.register()
        yard.searching.pause("tuning", ADA)
        yard.settle()
        assert (len(yard.runs.starts), yard.seen().state) == (1, "paused")
        yard.searching.resume("tuning", ADA)
        yard.settle()
        assert len(yard.runs.starts) == 4

    def test_a_canceled_search_ends_its_trials_and_is_told_nothing_more(self, yard):
        yard.register()
        yard.settle()
        yard.searching.cancel("tuning", ADA)
        yard.settle()
        assert (yard.runs.going(), yard.seen().state) == ([], "canceled")
        with pytest.raises(TrainyardError, match="is over: it was canceled") as refusal:
            yard.searching.pause("tuning", ADA)
        assert refusal.value.code.code == "C111"

    def test_more_trials_go_on_with_one_that_was_over(self, yard):
        yard.register(replace(SEARCH, trials=1))
        train(yard, yard.runs.going()[0])
        yard.settle()
        assert yard.settle() is None
        yard.searching.extend(MODEL_ID, 2, ADA)
        yard.settle()
        assert len(yard.runs.starts) == 3
        with pytest.raises(TrainyardError, match="cannot have 1000 trials more"):
            yard.searching.extend(MODEL_ID, 1000, ADA)

    def test_one_that_had_reached_its_value_goes_on_when_it_gets_more_trials(self, yard):
        yard.register(replace(SEARCH, trials=3, parallel=1, stop=Stop(value=-0.5)))
        train(yard, yard.runs.going()[0])
        yard.settle()
        assert yard.seen().ledger.over == "acc has reached -0.5"
        yard.searching.extend("tuning", 1, ADA)
        yard.settle()
        assert (yard.seen().state, len(yard.runs.going())) == ("running", 1)

    def test_it_goes_by_its_experiment_its_training_and_each_of_its_trials(self, yard):
        yard.register()
        yard.settle()
        for name in ("tuning", MODEL_ID, trial_id(MODEL_ID, 2)):
            assert yard.seen(name).training.id == MODEL_ID

    @pytest.mark.parametrize("name", ["tuning", MODEL_ID, "../x", ""])
    def test_nobody_sees_or_changes_that_of_another_account(self, yard, name):
        yard.register()
        for action in (yard.searching.seen, yard.searching.pause, yard.searching.cancel, yard.searching.best):
            with pytest.raises(TrainyardError) as refusal:
                action(name, MALLORY)
            assert refusal.value.code.code == "C107"
        with pytest.raises(TrainyardError) as refusal:
            yard.searching.settle(ADA)
        assert refusal.value.code.code == "C106"

    def test_what_keeps_it_from_starting_trials_is_told_and_tried_again(self, yard):
        yard.register()
        yard.runs.refuses = "the account has no GPU"
        assert yard.settle() == 60.0
        assert yard.seen().ledger.note == "no trial can be started: the account has no GPU"
        yard.runs.refuses = ""
        yard.settle()
        assert (yard.seen().ledger.note, len(yard.runs.starts)) == ("", 4)

    def test_a_sampler_that_fails_is_told_too(self, yard, tmp_path, monkeypatch):
        (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
        monkeypatch.syspath_prepend(tmp_path)
        yard.register(replace(SEARCH, sampler=Sampler.GP, trials=20, parallel=1))
        for _ in range(12):
            for run in yard.runs.going():
                train(yard, run)
            yard.settle()
        note = yard.seen().ledger.note
        assert note.startswith("no trial can be started: the sampler gp failed: ")
        assert "libcudart.so.13" in note

    def test_there_is_no_best_before_one_has_a_value(self, yard):
        yard.register()
        with pytest.raises(TrainyardError, match="no trial of tuning has a value of acc yet"):
            yard.searching.best("tuning", ADA)

    def test_a_deleted_trial_is_not_made_again(self, yard):
        yard.register()
        yard.settle()
        gone = trial_id(MODEL_ID, 1)
        del yard.runs.runs[gone], yard.runs.starts[gone]
        yard.settle()
        assert gone not in yard.runs.starts
        assert len(yard.runs.going()) == 4

    def test_a_later_search_begins_where_the_one_that_it_names_was_good(self, yard):
        rates = self._first_rates_after_another(yard, like="before")
        assert rates != self._first_rates(yard, "training-alone0000")
        assert all(abs(rate - 0.7) < 0.2 for rate in rates)

    @pytest.mark.parametrize(
        ("changes", "owner"),
        [
            ({"like": "elsewhere"}, {}),
            ({"like": "before", "goal": Goal.MINIMIZE}, {}),
            ({"like": "before"}, {"account": "speech", "owner": "grace"}),
        ],
    )
    def test_one_of_others_or_of_another_goal_is_as_if_it_were_not_there(self, yard, changes, owner):
        rates = self._first_rates_after_another(yard, owner, **changes)
        assert rates == self._first_rates(yard, "training-alone0000")

    def _first_rates_after_another(self, yard, owner=None, **changes):
        yard.register(replace(SEARCH, trials=30), training_id="training-earlier00", experiment="before")
        while yard.settle() is not None and yard.runs.going():
            train(yard, yard.runs.going()[0])
        return self._first_rates(yard, MODEL_ID, owner, **changes)

    @staticmethod
    def _first_rates(yard, training_id, owner=None, **changes):
        yard.register(replace(SEARCH, sampler=Sampler.TPE, **changes), training_id, **(owner or {}))
        yard.settle()
        return [yard.runs.starts[trial_id(training_id, number)]["lr"] for number in (1, 2, 3)]
