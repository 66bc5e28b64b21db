"""The values of a search: its parameters, its points, and how it is kept."""

from __future__ import annotations

import json
import math

import pytest

from trainyard.domain.search import (
    Choices,
    Goal,
    Pruner,
    Real,
    Sampler,
    SearchSpec,
    Stop,
    Whole,
    count_points,
    points_of,
)

SEARCH = SearchSpec(
    metric="val/acc",
    goal=Goal.MAXIMIZE,
    trials=40,
    space={
        "opt": Choices(("sgd", "adam")),
        "lr": Real(1e-4, 0.1, log=True),
        "layers": Whole(1, 6),
        "momentum": Real(0.0, 0.9, step=0.3, when={"opt": ("sgd",)}),
        "units": Whole(5, 10, power=2),
    },
    sampler=Sampler.GP,
    pruner=Pruner.ASHA,
    stop=Stop(value=0.98, stale=10),
    seed=1,
    points=({"lr": 0.01, "opt": "adam"},),
)


def test_a_search_is_kept_as_json_and_read_back_the_same():
    assert SearchSpec.from_dict(json.loads(json.dumps(SEARCH.as_dict()))) == SEARCH


def test_a_search_of_a_later_version_is_read_as_far_as_it_is_known():
    data = {**SEARCH.as_dict(), "colour": "red"}
    data["space"]["lr"]["colour"] = "red"
    assert SearchSpec.from_dict(data) == SEARCH


def test_every_hyperparameter_of_a_search_has_a_value_to_begin_with():
    assert SEARCH.defaults() == {"opt": "sgd", "lr": 1e-4, "layers": 1, "momentum": 0.0, "units": 32}


def test_both_ends_of_a_range_belong_to_it():
    assert Real(0.005, 0.01, step=0.001).all() == (0.005, 0.006, 0.007, 0.008, 0.009, 0.01)
    assert Whole(5, 10, power=2).all() == (32, 64, 128, 256, 512, 1024)
    assert Whole(1, 6, step=2).all() == (1, 3, 5)


def test_a_parameter_with_a_condition_is_only_in_points_that_fulfil_it():
    space = {"opt": Choices(("sgd", "adam")), "momentum": Choices((0.0, 0.9), when={"opt": ("sgd",)})}
    assert points_of(space) == [{"opt": "sgd", "momentum": 0.0}, {"opt": "sgd", "momentum": 0.9}, {"opt": "adam"}]


def test_a_range_without_steps_has_no_end_of_points():
    assert points_of(SEARCH.space) is None
    assert count_points(SEARCH.space) == math.inf
    assert count_points({"layers": Whole(1, 6, step=2), "units": Whole(5, 10, power=2)}) == 18


@pytest.mark.parametrize(
    ("parameter", "value", "drawn"),
    [
        (Whole(5, 10, power=2), 64, 6),
        (Whole(5, 10, power=2), 65, None),
        (Whole(1, 6, step=2), 4, None),
        (Real(0.0, 1.0, step=0.1), 0.3, 0.3),
        (Real(0.0, 1.0), 1, 1.0),
        (Real(0.0, 1.0), True, None),
        (Real(-3, -1, power=10), 0.01, -2.0),
        (Real(-3, -1, power=10), -1.0, None),
    ],
)
def test_a_value_is_traced_to_what_was_drawn(parameter, value, drawn):
    found = parameter.drawn(value)
    assert found == (drawn if drawn is None else pytest.approx(drawn))
    assert parameter.takes(value) is (drawn is not None)
