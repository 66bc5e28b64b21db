"""Whatever dies between any two steps of a drop's way: the next pass ends right, and there is one training."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from inbox_fakes import MANIFEST, NOW, SECRET, Bucket, Death, Door, Fate, packed, run_pass

from trainyard.errors import Problem, TrainyardError

_REFUSAL = TrainyardError.refused([Problem("name is missing.", "Add it.", "model_definition")])
# More than a pass has deeds, so that the last ones of these live through it.
_DEEDS = range(30)


def _die(bucket, door, at, after):
    """Run a pass that dies at a deed of store or front door; say whether it came that far."""
    bucket.fate = door.fate = Fate(at, after)
    try:
        run_pass(bucket, door)
    except Death:
        return True
    finally:
        bucket.fate = door.fate = Fate()
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", _DEEDS)
def test_an_accepted_drop_is_trained_once_and_moved_whatever_died(at, after):
    bucket, door = Bucket(), Door()
    bucket.drop()
    _die(bucket, door, at, after)
    run_pass(bucket, door, NOW + 60)
    assert [seen[0] for seen in door.trainings.values()] == ["vision"]
    assert bucket.below("inbox/") == bucket.below("under-way/") == bucket.below("refused/") == {}
    moved = bucket.below("accepted/vision/training-000000000/")
    assert moved.keys() == {"job.yml", "model.zip"}
    assert moved["model.zip"] == packed()
    assert SECRET.encode() not in moved["job.yml"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", _DEEDS)
def test_a_refused_drop_is_in_one_place_with_its_reasons_whatever_died(at, after):
    bucket, door = Bucket(), Door()
    door.failure = _REFUSAL
    bucket.drop()
    _die(bucket, door, at, after)
    run_pass(bucket, door, NOW + 60)
    assert bucket.below("inbox/") == bucket.below("under-way/") == bucket.below("accepted/") == {}
    (place,) = {key.rpartition("/")[0] for key in bucket.below("refused/")}
    files = bucket.below(f"refused/{place}/")
    assert (files["job.yml"], files["model.zip"]) == (MANIFEST, packed())
    assert b"name is missing. (found" not in files["reasons.txt"]
    assert b"name is missing." in files["reasons.txt"]
    assert b"Add it." in files["reasons.txt"]


def test_a_pass_has_fewer_deeds_than_are_killed_above():
    for failure in (None, _REFUSAL):
        bucket, door = Bucket(), Door()
        door.failure = failure
        bucket.drop()
        assert _die(bucket, door, 15, after=True)
        assert not _die(bucket, door, _DEEDS[-1], after=True)


@pytest.mark.parametrize("failure", [None, _REFUSAL], ids=["accepted", "refused"])
def test_two_passes_at_once_do_what_one_does(failure):
    bucket, door = Bucket(), Door()
    door.failure = failure
    for number in range(5):
        bucket.drop(f"inbox/vision/{number}")
    together = threading.Barrier(2)

    def one_pass(now):
        return run_pass(bucket, door, now, settle=together.wait)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one_pass, (NOW, NOW)))
    run_pass(bucket, door, NOW + 60)
    assert [failed for _, failed in results] == [0, 0]
    assert len(door.trainings) == (0 if failure else 5)
    assert bucket.below("inbox/") == bucket.below("under-way/") == {}
    assert len(bucket.below("accepted/")) == (0 if failure else 10)
    assert len(bucket.below("refused/")) == (15 if failure else 0)


def test_a_hundred_drops_are_a_hundred_trainings():
    bucket, door = Bucket(), Door()
    for number in range(100):
        bucket.drop(f"inbox/vision/{number:03}")
    handed, failed = run_pass(bucket, door)
    assert (len(handed), failed, len(door.trainings)) == (100, 0, 100)
    assert bucket.below("inbox/") == {}
