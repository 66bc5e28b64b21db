"""What a search does next: how many trials it starts, when it is over, how long it takes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from trainyard.core.search.deciding import Ledger, seconds_left, wanted, why_over
from trainyard.core.search.trials import Trial, TrialState
from trainyard.domain.search import Choices, Goal, SearchSpec, Stop

SEARCH = SearchSpec("acc", Goal.MAXIMIZE, 10, {"x": Choices((1, 2))}, parallel=4)
LEDGER = Ledger(began_at=1000.0)
# The account has GPUs for as many trials as may go on at once, and for no more.
SCARCE = 4


def ended(*values: float | None, seconds: float = 600.0) -> list[Trial]:
    """Return trials that ended one after the other; None stands for one that has failed."""
    return [
        Trial(
            number,
            {"x": 1},
            TrialState.FAILED if value is None else TrialState.COMPLETED,
            value=value,
            began_at=1000.0,
            ended_at=1000.0 + seconds + number,
        )
        for number, value in enumerate(values)
    ]


def going(count: int, first: int = 0) -> list[Trial]:
    return [Trial(first + number, {"x": 1}, TrialState.RUNNING) for number in range(count)]


def storing(number: int, value: float | None = None) -> Trial:
    """Return a trial whose program has ended and whose results are being stored."""
    return Trial(number, {"x": 1}, TrialState.RUNNING, value=value, storing=True)


def search(**stop: float) -> SearchSpec:
    return replace(SEARCH, stop=Stop(**stop))


class TestHowMany:
    def test_as_many_as_may_go_on_at_once(self):
        assert wanted(SEARCH, LEDGER, [], SCARCE) == 4
        assert wanted(SEARCH, LEDGER, going(3), SCARCE) == 1
        assert wanted(SEARCH, LEDGER, [*ended(0.1), *going(4, 1)], SCARCE) == 0

    def test_never_more_than_there_are_in_all(self):
        trials = [*ended(*[0.1] * 8), *going(1, 8)]
        assert wanted(SEARCH, LEDGER, trials, SCARCE) == 1
        assert wanted(SEARCH, replace(LEDGER, more=20), trials, SCARCE) == 3
        assert wanted(SEARCH, LEDGER, [*trials, *going(1, 9)], SCARCE) == 0

    def test_one_that_is_gone_is_not_made_up_for(self):
        left = [trial for trial in ended(*[0.1] * 10) if trial.number != 3]
        assert wanted(SEARCH, LEDGER, left, SCARCE) == 0

    def test_short_ones_have_their_successors_waiting_for_a_gpu(self):
        short = ended(0.1, seconds=20.0)
        assert wanted(SEARCH, LEDGER, [*short, *going(4, 1)], SCARCE) == 2
        assert wanted(SEARCH, LEDGER, [*short, *going(6, 1)], SCARCE) == 0

    def test_very_short_ones_have_more_of_them_as_each_takes_its_seconds_to_be_staged(self):
        assert wanted(SEARCH, LEDGER, [*ended(0.1, seconds=1.0), *going(4, 1)], SCARCE) == 4
        alone = replace(SEARCH, parallel=1)
        assert wanted(alone, LEDGER, [*ended(0.1, seconds=1.0), *going(1, 1)], 1) == 2
        assert wanted(alone, LEDGER, [*ended(0.1, seconds=20.0), *going(1, 1)], 1) == 1

    def test_none_waits_where_there_are_gpus_for_it_as_it_would_train_beside_the_others(self):
        trials = [*ended(0.1, seconds=20.0), *going(4, 1)]
        assert wanted(SEARCH, LEDGER, trials, SCARCE + 1) == 0
        assert wanted(SEARCH, LEDGER, trials, math.inf) == 0

    def test_a_short_one_that_is_only_being_stored_has_its_successor(self):
        trials = [*ended(0.1, seconds=20.0), *going(3, 1), storing(4)]
        assert wanted(SEARCH, LEDGER, trials, math.inf) == 1
        assert wanted(SEARCH, LEDGER, [*trials, *going(1, 5)], math.inf) == 0

    def test_a_long_one_that_is_being_stored_has_its_successor_once_its_value_is_known(self):
        assert wanted(SEARCH, LEDGER, [*ended(0.1), *going(3, 1), storing(4)], SCARCE) == 0
        assert wanted(SEARCH, LEDGER, [*ended(0.1), *going(3, 1), storing(4, value=0.5)], SCARCE) == 1

    def test_a_store_that_takes_nothing_holds_the_search(self):
        stuck = [storing(number) for number in range(1, 9)]
        assert wanted(SEARCH, LEDGER, [*ended(0.1, seconds=20.0), *stuck], math.inf) == 0

    @pytest.mark.parametrize("change", [{"paused": True}, {"over": "it was canceled"}])
    def test_none_while_it_is_paused_or_over(self, change):
        assert wanted(SEARCH, replace(LEDGER, **change), [], SCARCE) == 0


class TestOver:
    @pytest.mark.parametrize(
        ("told", "trials", "reason"),
        [
            (search(value=0.9), ended(0.1, 0.9), "acc has reached 0.9"),
            (search(value=0.9), ended(0.1, 0.8), ""),
            (replace(search(value=0.2), goal=Goal.MINIMIZE), ended(0.3, 0.1), "acc has reached 0.2"),
            (search(failures=2), ended(None, 0.5, None), "2 trials have failed"),
            (search(failures=3), ended(None, 0.5, None), ""),
            (search(stale=2), ended(0.5, 0.4, 0.5), "2 trials in a row were no better"),
            (search(stale=2), ended(0.5, 0.4, 0.6, 0.1), ""),
            (search(stale=2), ended(None, None, None), ""),
            (SEARCH, ended(*[0.1] * 10), "all its trials have ended"),
            (SEARCH, [*ended(*[0.1] * 9), *going(1, 9)], ""),
        ],
    )
    def test_by_what_its_trials_have_brought(self, told, trials, reason):
        assert why_over(told, LEDGER, trials, 1001.0) == reason

    def test_by_its_hours(self):
        assert why_over(search(hours=1.5), LEDGER, [], 1000.0 + 5399) == ""
        assert why_over(search(hours=1.5), LEDGER, [], 1000.0 + 5400) == "1.5 hours have passed"

    def test_by_a_person(self):
        assert why_over(SEARCH, replace(LEDGER, canceled=True), [], 1001.0) == "it was canceled"

    @pytest.mark.parametrize(
        "stop", [search(value=0.9), search(failures=2), search(stale=2), search(hours=1.0)], ids=str
    )
    def test_what_has_ended_one_that_got_more_trials_does_not_end_it_at_once_again(self, stop):
        trials, now = ended(0.95, None, None, 0.1, 0.2), 1000.0 + 3600
        assert why_over(stop, LEDGER, trials, now) != ""
        again = replace(LEDGER, more=20, anew_from=5, anew_at=now)
        assert why_over(stop, again, trials, now) == ""
        later = [*trials, *(replace(trial, number=trial.number + 5, ended_at=9000.0) for trial in trials)]
        assert why_over(stop, again, later, now + 3600) != ""

    def test_not_while_more_trials_were_added(self):
        assert why_over(SEARCH, replace(LEDGER, more=1), ended(*[0.1] * 10), 1001.0) == ""


def test_the_time_left_goes_by_what_trials_took_and_by_how_many_go_on_at_once():
    assert seconds_left(SEARCH, LEDGER, [], 1000.0) is None
    assert seconds_left(SEARCH, LEDGER, ended(0.1, 0.1), 2000.0) == pytest.approx(2 * 600.5)
    assert seconds_left(search(hours=0.3), LEDGER, ended(0.1, 0.1), 2000.0) == pytest.approx(80.0)
    assert seconds_left(SEARCH, replace(LEDGER, paused=True), ended(0.1), 2000.0) is None


def test_a_ledger_is_kept_as_json_and_read_back_the_same():
    ledger = replace(LEDGER, more=3, attrs={2: {"cma:n": 1}}).with_ended([*ended(0.1, None), *going(1, 2)])
    assert sorted(ledger.ended) == [0, 1]
    assert Ledger.from_dict(json.loads(json.dumps({**ledger.as_dict(), "colour": "red"}))) == ledger
