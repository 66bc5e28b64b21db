"""What a search is judged by whose service was killed under it: each is seen to break."""

from __future__ import annotations

import pytest
from faults.invariants import search_broken


@pytest.fixture
def end():
    """A search of three trials that nothing has harmed."""
    ids = ["training-aaaaaaaaa", "training-bbbbbbbbb", "training-ccccccccc"]
    trials = [
        {"number": number, "model_id": model_id, "state": "completed", "point": {"x": number / 10}}
        for number, model_id in enumerate(ids)
    ]
    stored = [{"user_attrs": {"number": number}, "state": "COMPLETE"} for number in range(3)]
    runs = [{"model_id": model_id} for model_id in ids]
    return {
        "search": {"trials": trials},
        "total": 3,
        "runs": runs,
        "starts": dict.fromkeys(ids, 1),
        "study": {"trials": stored},
    }


def test_a_search_with_exactly_its_trials_breaks_nothing(end):
    assert list(search_broken(**end)) == []


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda end: end["search"]["trials"].pop(1), "its trials are [0, 2], not 0 to 2"),
        (lambda end: end["search"]["trials"][1].update(state="failed"), "trial 1 is failed"),
        (lambda end: end["runs"].append({"model_id": "training-ddddddddd"}), "training-ddddddddd is a run of no trial"),
        (lambda end: end["runs"].pop(2), "training-ccccccccc has no run"),
        (lambda end: end["starts"].update({"training-ccccccccc": 2}), "training-ccccccccc was started 2 times"),
        (lambda end: end["search"]["trials"][1].update(point={"x": 0.0}), '2 trials have the point {"x": 0.0}'),
        (lambda end: end["study"]["trials"].pop(), "study.json has [(0, 'COMPLETE'), (1, 'COMPLETE')]"),
    ],
)
def test_what_is_lost_or_doubled_is_told(end, harm, sentence):
    harm(end)
    assert sentence in search_broken(**end)
