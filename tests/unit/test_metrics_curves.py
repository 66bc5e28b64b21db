"""Curves in little room: peaks, ends and counts survive any number of points."""

from __future__ import annotations

import io
import math
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.workspace.metrics.curves import (
    MAX_ALL_POINTS,
    MAX_CURVES,
    MAX_NAME_LENGTH,
    Curve,
    Curves,
    Point,
    Seen,
    named,
    thinned,
)
from trainyard.workspace.metrics.state import MAX_WARNINGS, MetricsState
from trainyard.workspace.metrics.stored import from_file, to_lines

_HEAD = next(to_lines(MetricsState()))


def _filled(values, room=64):
    curve = Curve("loss", "jsonl")
    for at, value in enumerate(values, start=1):
        curve.add(at, float(at), None, value, room)
    return curve


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=1500))
def test_first_last_and_both_extremes_survive(values):
    curve = _filled(values)
    rows = curve.rows()
    low, high = curve.extremes()
    assert (rows[0].value, rows[-1].value, low.value, high.value) == (values[0], values[-1], min(values), max(values))
    assert [row.at for row in rows] == sorted({row.at for row in rows})
    assert curve.count == len(values)
    assert curve.kept() <= 64 + 20


def test_every_point_is_kept_while_there_is_room():
    assert [row.value for row in _filled([3.0, 1.0, 2.0]).rows()] == [3.0, 1.0, 2.0]


def test_old_points_are_as_dense_as_new_ones():
    rows = _filled(random.Random(1).random() for _ in range(100_000)).rows()
    halves = sum(row.step <= 50_000 for row in rows), sum(row.step > 50_000 for row in rows)
    assert 0.5 < halves[0] / halves[1] < 2


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=400),
    st.integers(min_value=1, max_value=200),
)
def test_a_thinned_answer_has_ends_and_peaks(values, most):
    rows = [Point(at, at, None, value) for at, value in enumerate(values)]
    found = thinned(rows, most)
    assert len(found) <= most
    assert found[-1] == rows[-1]
    if most >= 4:
        assert found[0] == rows[0]
        assert {min(values), max(values)} <= {row.value for row in found}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_counted_and_no_point(value):
    curve = _filled([1.0, value, 2.0])
    assert (curve.count, curve.not_finite) == (2, 1)
    assert [row.value for row in curve.rows()] == [1.0, 2.0]


def test_a_thousand_names_are_kept_and_the_rest_counted():
    curves = Curves()
    for number in range(MAX_CURVES + 5):
        for step in range(3):
            curves.add("jsonl", Seen(f"m{number}", step, None, 1.0))
    assert (len(curves.by_key), curves.refused) == (MAX_CURVES, 15)


def test_all_curves_together_keep_to_the_room_of_a_run():
    curves = Curves()
    for name in range(200):
        for step in range(3000):
            curves.add("jsonl", Seen(f"m{name}", step, None, step))
    assert sum(curve.kept() for curve in curves.by_key.values()) <= MAX_ALL_POINTS
    assert curves.by_key["jsonl", "m0"].count == 3000


def test_a_point_without_a_step_has_its_number():
    curves = Curves()
    for value in (5.0, 6.0):
        curves.add("log", Seen("loss", None, None, value))
    assert [row.step for row in curves.by_key["log", "loss"].rows()] == [1.0, 2.0]


def test_names_are_bounded_and_can_be_written_everywhere():
    assert len(named("x" * 1000)) == 200
    assert named("a", "", "b\ud800") == "a/b?"


@pytest.mark.parametrize("before", [b"", _HEAD], ids=["the first line", "a later one"])
def test_a_stored_line_that_is_none_of_ours_takes_little_memory(before):
    """A parser would make ten times as much of it."""
    file = io.BytesIO(before + b"[" + b"[]," * 2_000_000 + b"0]\n")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no line of a run's metrics"):
            from_file(file)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_longest_lines_that_are_written_are_read_back():
    state = MetricsState(warnings=["\U0001f600" * 500] * MAX_WARNINGS)
    state.curves.add("\U0001f600" * 1000, Seen("\U0001f600" * MAX_NAME_LENGTH, 1.0, None, 2.0))
    found = from_file(io.BytesIO(b"".join(to_lines(state))))
    assert found.warnings == state.warnings
    assert found.curves.by_key.keys() == state.curves.by_key.keys()
