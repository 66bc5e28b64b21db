"""The search of a manifest: read in every family, refused by its lines, all faults at once."""

from __future__ import annotations

import pytest
import yaml
from manifest_samples import FFDL, MANIFEST, only_problem, problems, read

from trainyard.domain.search import Choices, Goal, Pruner, Real, Sampler, SearchSpec, Stop, Whole
from trainyard.domain.training import TrainingSpec
from trainyard.manifest.schema import schema_data

LINE = MANIFEST.count("\n") + 1
FULL = """\
search:
  metric: val/acc
  goal: maximize
  trials: 40
  parallel: 4
  sampler: tpe
  pruner: hyperband
  stop: {value: 0.98, hours: 6, stale: 10, failures: 3}
  space:
    lr: {low: 1e-4, high: 1e-1, log: true}
    layers: {low: 1, high: 6}
    opt: [sgd, adam]
    momentum: {low: 0.0, high: 0.9, step: 0.3, when: {opt: sgd}}
    units: {low: 5, high: 10, power: 2}
    depth: {values: [1, 2.5], when: {layers: [1, 2], opt: adam}}
  seed: 1
  points:
  - {lr: 0.01, layers: 2, opt: adam}
"""


def with_search(text: str, own: str = "", manifest: str = MANIFEST) -> str:
    execution = f"    resource: small\n    hyperparameters: {own}\n" if own else "    resource: small\n"
    return manifest.replace("    resource: small\n", execution) + text


def small(**keys: object) -> str:
    """Return a search with a space of its own keys in the place of the usual ones."""
    data = {"metric": "acc", "goal": "maximize", "trials": 5, "space": {"lr": [1, 2]}, **keys}
    return yaml.safe_dump({"search": {key: value for key, value in data.items() if value is not None}})


def spec(text: str, own: str = "", manifest: str = MANIFEST) -> TrainingSpec:
    return read(with_search(text, own, manifest)).submission.spec


def search(text: str, own: str = "") -> SearchSpec:
    found = spec(text, own).search
    assert found is not None
    return found


def space(parameter: object, own: str = "") -> object:
    return search(small(space={"lr": parameter}), own).space["lr"]


class TestReading:
    def test_a_manifest_without_one_has_none(self):
        assert read(MANIFEST).submission.spec.search is None

    def test_every_key(self):
        assert search(FULL) == SearchSpec(
            metric="val/acc",
            goal=Goal.MAXIMIZE,
            trials=40,
            parallel=4,
            sampler=Sampler.TPE,
            pruner=Pruner.HYPERBAND,
            stop=Stop(0.98, 6, 10, 3),
            space={
                "lr": Real(1e-4, 0.1, log=True),
                "layers": Whole(1, 6),
                "opt": Choices(("sgd", "adam")),
                "momentum": Real(0.0, 0.9, step=0.3, when={"opt": ("sgd",)}),
                "units": Whole(5, 10, power=2),
                "depth": Choices((1.0, 2.5), when={"layers": (1, 2), "opt": ("adam",)}),
            },
            seed=1,
            points=({"lr": 0.01, "layers": 2, "opt": "adam"},),
        )

    def test_a_manifest_of_ffdl_has_the_same(self):
        assert spec(FULL, manifest=FFDL).search == search(FULL)

    def test_it_is_kept_in_the_record(self):
        one = spec(FULL)
        assert TrainingSpec.from_dict(one.as_dict()) == one

    def test_what_is_searched_need_not_be_a_hyperparameter_before(self):
        assert spec(small(space={"lr": [0.1, 0.2]}), "{layers: 3}").hyperparameters == {"layers": 3, "lr": 0.1}

    def test_a_hyperparameter_keeps_its_own_value_for_runs_that_nobody_searches_with(self):
        assert spec(small(space={"lr": {"low": 0.5, "high": 2.5}}), "{lr: 1}").hyperparameters == {"lr": 1.0}

    def test_a_range_of_whole_numbers_for_a_number_with_a_fraction_is_one_of_such(self):
        assert space({"low": 0, "high": 1}, "{lr: 0.5}") == Real(0.0, 1.0)
        assert space({"low": 0, "high": 1}) == Whole(0, 1)

    def test_exponents_below_zero_make_fractions(self):
        assert space({"low": -3, "high": -1, "power": 10}) == Real(-3.0, -1.0, power=10.0)

    def test_a_grid_and_a_list_of_points_know_how_many_trials_they_are(self):
        grid = small(sampler="grid", trials=None, space={"a": [1, 2, 3], "b": {"low": 0, "high": 1, "step": 0.25}})
        assert search(grid).trials == 3 * 5
        listed = small(trials=None, space=None, points=[{"lr": 0.1}, {"lr": 1, "opt": "sgd"}])
        assert (search(listed).trials, search(listed).points) == (2, ({"lr": 0.1}, {"lr": 1.0, "opt": "sgd"}))

    def test_never_more_go_on_at_once_than_there_are(self):
        assert search(small(trials=2, parallel=10)).parallel == 2

    def test_conditions_may_speak_of_what_stands_below(self):
        found = search(small(space={"a": {"values": [1, 2], "when": {"b": 1}}, "b": [1, 2]}))
        assert list(found.space) == ["b", "a"]

    def test_cmaes_warns_of_what_it_draws_at_random(self):
        found = read(with_search(small(sampler="cmaes"))).submission.warnings
        assert [warning for warning in found if "cmaes searches numbers alone; lr is drawn at random" in warning]


class TestFaults:
    def test_all_of_them_at_once_with_their_lines(self):
        text = "search:\n  metrik: acc\n  goal: best\n  trials: 0\n  space:\n    lr: {low: 1, hihg: 2}\n    PATH: [1]\n"
        found = problems(with_search(text)).values()
        assert [(problem.path, problem.line) for problem in found] == [
            ("search.metric", LINE),
            ("search.metrik", LINE + 1),
            ("search.goal", LINE + 2),
            ("search.trials", LINE + 3),
            ("search.space.lr.high", LINE + 5),
            ("search.space.lr.hihg", LINE + 5),
            ("search.space.PATH", LINE + 6),
        ]
        assert "Did you mean metric?" in [problem.hint for problem in found]
        assert "Did you mean high?" in [problem.hint for problem in found]

    @pytest.mark.parametrize(
        ("parameter", "message"),
        [
            ({"low": 2, "high": 1}, "high is not above low."),
            ({"low": 0.0, "high": 1.0, "log": True}, "a log range begins above 0."),
            ({"low": 1, "high": 9, "log": True, "step": 2}, "log and step do not go together."),
            ({"low": 1, "high": 9, "step": 20}, "step is not between 0 and the width of the range."),
            ({"low": 1, "high": 9, "power": 1}, "power is the base of the values."),
            ({"low": 1, "high": 9000, "power": 10}, "the range has numbers that are too large."),
            ({"low": 1, "high": 10**17}, "the range has numbers that are too large."),
            ({"low": 0.0, "high": 1.0, "step": 1e-9}, "the range has too many steps."),
            ({"low": 1, "high": 1e301}, "the number is too large for a computer."),
            ([1, "a"], "the values are of several types."),
            ([1, 1.0], "a value is there twice."),
            ([], "the list of values is empty."),
            ("0.1", "lr is text, not a map or a list."),
        ],
    )
    def test_a_parameter_that_cannot_be(self, parameter, message):
        assert only_problem(with_search(small(space={"lr": parameter}))).message == message

    def test_a_type_that_is_not_the_hyperparameters_own(self):
        problem = only_problem(with_search(small(space={"lr": ["a", "b"]}), "{lr: 0.1}"))
        assert problem.message == "this is text, and a number in the hyperparameters."

    def test_a_condition_on_what_is_not_there(self):
        given = {"opt": ["sgd", "adam"], "lr": {"values": [1, 2], "when": {"otp": "sgd"}}}
        problem = only_problem(with_search(small(space=given)))
        assert (problem.path, problem.hint[:18]) == ("search.space.lr.when.otp", "Did you mean opt? ")

    def test_a_condition_that_is_never_fulfilled(self):
        given = {"opt": ["sgd", "adam"], "lr": {"values": [1, 2], "when": {"opt": "adagrad"}}}
        assert only_problem(with_search(small(space=given))).message == "opt never is adagrad."

    def test_conditions_in_a_circle(self):
        given = {"a": {"values": [1, 2], "when": {"b": 1}}, "b": {"values": [1, 2], "when": {"a": 1}}}
        assert only_problem(with_search(small(space=given))).message == "the conditions go in a circle."

    def test_a_point_outside_of_the_space(self):
        found = problems(with_search(small(space={"lr": [1, 2]}, points=[{"lr": 3}, {"rl": 1}]))).values()
        assert [problem.message for problem in found] == ["lr never is this in the space.", "the space has no rl."]

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"trials": None}, "trials is missing."),
            ({"space": None}, "there is nothing to search."),
            (
                {"sampler": "grid", "space": {"lr": {"low": 0.1, "high": 1.0}}},
                "a grid needs values that can be counted.",
            ),
            (
                {"sampler": "grid", "trials": None, "space": {name: list(range(20)) for name in "abc"}},
                "the grid has 8000 points, and a search 1000 trials at most.",
            ),
            ({"sampler": "bayesian"}, "there is no sampler bayesian."),
            ({"stop": {"hours": 0}}, "hours is not above 0."),
        ],
    )
    def test_a_search_that_cannot_be(self, keys, message):
        assert only_problem(with_search(small(**keys))).message == message


def test_both_families_have_the_same_schema_of_a_search():
    ours, other = schema_data("manifest")["$defs"], schema_data("ffdl")["$defs"]
    names = [name for name in ours if name.startswith("search")]
    assert len(names) == 9 - 1
    assert all(ours[name] == other[name] for name in names)
