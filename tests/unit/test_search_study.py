"""A search as Optuna's study: made again from its trials, the same every time."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from trainyard.core.search.pruning import step_to_stop
from trainyard.core.search.study import ask, importances, missing_package, study_json, study_of
from trainyard.core.search.trials import MAX_REPORTED, Trial, TrialState, best_of, point_of, thinned, trial_id
from trainyard.domain.names import is_model_id
from trainyard.domain.search import Choices, Goal, Pruner, Real, Sampler, SearchSpec, Whole
from trainyard.errors import TrainyardError

SPACE = {
    "opt": Choices(("sgd", "adam")),
    "lr": Real(1e-4, 0.1, log=True),
    "layers": Whole(1, 6),
    "momentum": Real(0.0, 0.9, step=0.3, when={"opt": ("sgd",)}),
    "units": Whole(5, 10, power=2),
}
SEARCH = SearchSpec("acc", Goal.MAXIMIZE, 40, SPACE)


def completed(number: int, point: dict, value: float, **more: object) -> Trial:
    return Trial(number, point, TrialState.COMPLETED, value=value, **more)


def tried(search: SearchSpec, count: int, seed: int = 1) -> list[Trial]:
    """Return so many trials of a search that knows each before it asks for the next."""
    trials: list[Trial] = []
    for number in range(count):
        point, attrs = ask(search, trials, number, seed) or ({}, {})
        trials.append(completed(number, point, -abs(math.log10(float(point.get("lr", 1.0))) + 2), attrs=attrs))
    return trials


class TestAsking:
    @pytest.mark.parametrize("sampler", [Sampler.TPE, Sampler.RANDOM, Sampler.CMAES])
    def test_the_same_trials_give_the_same_point(self, sampler):
        search = replace(SEARCH, sampler=sampler)
        assert tried(search, 14) == tried(search, 14)
        assert tried(search, 14) != tried(search, 14, seed=2)

    def test_searches_whose_seeds_are_neighbours_have_no_point_in_common(self):
        """Whoever repeats a search with the seeds 1, 2, 3 wants to know how much was luck."""
        search = replace(SEARCH, sampler=Sampler.RANDOM)
        rates = [{trial.point["lr"] for trial in tried(search, 12, seed)} for seed in range(3)]
        assert len(set().union(*rates)) == 36

    def test_what_is_asked_lies_in_the_space_and_has_what_belongs_to_it_alone(self):
        for trial in tried(SEARCH, 14):
            assert all(SPACE[name].takes(value) for name, value in trial.point.items())
            assert ("momentum" in trial.point) is (trial.point["opt"] == "sgd")
            assert json.loads(json.dumps(trial.as_dict())) is not None
            assert point_of(SEARCH, {"momentum": 0.3, **trial.point}) == trial.point

    def test_trials_that_are_still_running_are_not_asked_for_again(self):
        going = [replace(trial, state=TrialState.RUNNING, value=None) for trial in tried(SEARCH, 12)]
        asked = [ask(SEARCH, going, 12, seed) for seed in range(3)]
        assert all(found and found[0] not in [trial.point for trial in going] for found in asked)

    def test_given_points_come_first_and_what_they_leave_open_is_drawn(self):
        search = replace(SEARCH, points=({"lr": 0.05, "opt": "adam"},))
        first, second = tried(search, 2)
        assert (first.point["lr"], first.point["opt"]) == (0.05, "adam")
        assert set(first.point) == {"opt", "lr", "layers", "units"}
        assert second.point["lr"] != 0.05

    def test_points_without_a_space_are_all_that_there_is(self):
        search = replace(SEARCH, space={}, points=({"lr": 0.1}, {"lr": 0.2}))
        assert [ask(search, [], number, 1) for number in range(3)] == [({"lr": 0.1}, {}), ({"lr": 0.2}, {}), None]

    def test_a_grid_has_every_point_once(self):
        search = replace(SEARCH, sampler=Sampler.GRID, space={"a": Choices((1, 2)), "b": Whole(1, 2)})
        found = [ask(search, [], number, 1) for number in range(5)]
        assert [point[0] for point in found if point] == [
            {"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 2, "b": 2},
        ]  # fmt: skip
        assert found[4] is None

    def test_an_earlier_search_is_known_from_the_start_where_it_fits(self):
        earlier = [completed(number, {"x": number / 30}, -number) for number in range(30)]
        search = SearchSpec("acc", Goal.MAXIMIZE, 10, {"x": Real(0.0, 1.0)})
        found = [ask(search, [], 0, seed, earlier) for seed in range(5)]
        assert sum(1 for each in found if each and each[0]["x"] < 0.4) >= 4
        other = [replace(trial, point={"y": 1}) for trial in earlier]
        assert len(study_of(search, [], None, [*earlier, *other]).trials) == 30

    def test_it_finds_more_than_chance_does(self):
        def best(sampler: Sampler) -> float:
            found = [tried(replace(SEARCH, sampler=sampler), 30, seed * 100) for seed in range(4)]
            return sum((best_of(trials, Goal.MAXIMIZE) or trials[0]).value or 0.0 for trials in found)

        assert best(Sampler.TPE) > best(Sampler.RANDOM)


class TestPackages:
    def test_a_sampler_whose_package_is_missing_says_so_and_what_to_do(self):
        assert [missing_package(sampler) for sampler in Sampler] == [None, None, None, "torch", None]
        with pytest.raises(TrainyardError, match="the sampler gp needs the package torch") as refusal:
            ask(replace(SEARCH, sampler=Sampler.GP), [], 0, 1)
        assert "docs/search.md" in refusal.value.hint

    def test_with_its_package_it_asks(self, tmp_path, monkeypatch):
        (tmp_path / "torch.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        assert missing_package(Sampler.GP) is None
        point, _ = ask(replace(SEARCH, sampler=Sampler.GP), [], 0, 1)  # the first ones are drawn at random
        assert point["opt"] in ("sgd", "adam")


class TestStudies:
    def test_every_state_is_one_of_optunas(self):
        point = {"opt": "adam", "lr": 0.01, "layers": 2, "units": 64}
        states = [TrialState.WAITING, TrialState.RUNNING, TrialState.FAILED, TrialState.CANCELED, TrialState.STOPPED]
        trials = [Trial(number, point, state, reported=((1, 0.5),)) for number, state in enumerate(states)]
        trials += [completed(5, point, 0.9), replace(completed(6, point, 0.0), value=None)]
        trials += [Trial(7, point, TrialState.RUNNING, value=0.8, storing=True)]  # no program runs that could change it
        names = [trial.state.name for trial in study_of(SEARCH, trials).trials]
        assert names == ["RUNNING", "RUNNING", "FAIL", "FAIL", "PRUNED", "COMPLETE", "FAIL", "COMPLETE"]

    def test_its_data_makes_the_study_again(self):
        import optuna

        data = json.loads(json.dumps(study_json(SEARCH, tried(SEARCH, 12))))
        again = optuna.create_study(direction=data["direction"])
        for trial in data["trials"]:
            spread = {
                name: optuna.distributions.json_to_distribution(one) for name, one in trial["distributions"].items()
            }
            again.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[trial["state"]],
                    value=trial["value"],
                    params=trial["params"],
                    distributions=spread,
                )
            )
        assert again.best_value == study_of(SEARCH, tried(SEARCH, 12)).best_value

    def test_what_matters_is_told_from_what_does_not(self):
        found = importances(SEARCH, tried(SEARCH, 25))
        assert next(iter(found)) == "lr"
        assert sum(found.values()) == pytest.approx(1)
        assert importances(SEARCH, tried(SEARCH, 1)) == {}


class TestPruning:
    def curves(self, count: int, pruner: Pruner) -> tuple[int, float, float]:
        """Run learning curves of 27 steps, some at once; return steps taken, and the best value with and without."""
        search = SearchSpec("acc", Goal.MAXIMIZE, count, {"q": Real(0.0, 1.0)}, pruner=pruner, sampler=Sampler.RANDOM)
        trials: list[Trial] = []
        steps = 0
        for number in range(count):
            point, _ = ask(search, trials, number, 7) or ({}, {})
            trials.append(Trial(number, point, TrialState.RUNNING))
            for step in range(1, 28):
                steps += 1
                value = point["q"] * (1 - math.exp(-step / 6))
                mine = replace(trials[-1], reported=(*trials[-1].reported, (step, value)), value=value)
                trials[-1] = mine
                if step_to_stop(search, trials, number) is not None:
                    trials[-1] = replace(mine, state=TrialState.STOPPED)
                    break
            else:
                trials[-1] = replace(trials[-1], state=TrialState.COMPLETED)
        found, most = best_of(trials, Goal.MAXIMIZE), max(trial.point["q"] for trial in trials)
        return steps, (found and found.value) or 0.0, most * (1 - math.exp(-4.5))

    @pytest.mark.parametrize("pruner", [Pruner.ASHA, Pruner.MEDIAN])
    def test_half_of_the_steps_are_saved_and_the_best_is_found_all_the_same(self, pruner):
        steps, best, possible = self.curves(30, pruner)
        assert steps <= 30 * 27 / 2
        assert best == pytest.approx(possible)

    def test_hyperband_saves_too(self):
        steps, best, possible = self.curves(30, Pruner.HYPERBAND)
        assert steps < 30 * 27 * 0.75
        assert best == pytest.approx(possible, rel=0.05)

    def test_one_that_is_looked_at_between_the_steps_of_the_others_or_behind_them_is_stopped_too(self):
        search = SearchSpec("acc", Goal.MAXIMIZE, 9, {"x": Choices((1, 2))}, pruner=Pruner.MEDIAN)
        others = [completed(number, {"x": 1}, 1.0, reported=((2, 0.9), (4, 1.0))) for number in range(5)]
        for reported in (((2, 0.0), (3, 0.1)), ((2, 0.0), (40, 0.1))):
            bad = Trial(9, {"x": 1}, TrialState.RUNNING, reported=reported)
            assert step_to_stop(search, [*others, bad], 9) == reported[-1][0]
            good = replace(bad, reported=tuple((step, 2.0) for step, _ in reported))
            assert step_to_stop(search, [*others, good], 9) is None
        early = Trial(9, {"x": 1}, TrialState.RUNNING, reported=((1, 0.0),))
        assert step_to_stop(search, [*others, early], 9) is None

    def test_nobody_is_stopped_without_a_pruner_or_without_a_curve(self):
        trials = [completed(number, {"x": 1}, 1.0, reported=((9, 1.0),)) for number in range(9)]
        bad = Trial(9, {"x": 1}, TrialState.RUNNING, reported=((9, 0.0),))
        search = SearchSpec("acc", Goal.MAXIMIZE, 9, {"x": Choices((1, 2))})
        assert step_to_stop(search, [*trials, bad], 9) is None
        assert step_to_stop(replace(search, pruner=Pruner.MEDIAN), [*trials, bad], 9) == 9
        assert step_to_stop(replace(search, pruner=Pruner.MEDIAN), [*trials, replace(bad, reported=())], 9) is None


class TestTrials:
    def test_a_trial_has_one_id_for_ever_and_no_other_has_it(self):
        tries = [("training-abcdefghi", number, attempt) for number in range(1000) for attempt in range(3)]
        ids = [trial_id(*each) for each in tries]
        assert len(set(ids)) == len(ids)
        assert ids[0] == "training-abcdefghi"
        assert all(map(is_model_id, ids))
        assert ids == [
            trial_id("training-abcdefghi", number, attempt) for number in range(1000) for attempt in range(3)
        ]

    def test_the_best_is_the_earliest_of_equals_that_has_completed(self):
        trials = [
            completed(0, {}, 0.5),
            completed(1, {}, 0.9),
            completed(2, {}, 0.9),
            Trial(3, {}, TrialState.STOPPED, value=1.0),
            completed(4, {}, 1.0),
        ]
        assert best_of(trials[:4], Goal.MAXIMIZE) == trials[1]
        assert best_of(trials, Goal.MINIMIZE) == trials[0]
        assert best_of([], Goal.MINIMIZE) is None

    def test_a_curve_is_thinned_to_its_beginning_and_its_shape(self):
        found = thinned([(step, step / 1e4) for step in range(10_000)] + [(10_000, math.nan)])
        assert len(found) <= MAX_REPORTED
        assert (found[0], found[-1]) == ((0, 0.0), (9999, 0.9999))
        assert [step for step, _ in found][:50] == list(range(50))
