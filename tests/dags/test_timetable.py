"""When a training runs, and how its runs are named."""

from __future__ import annotations

import re

import pendulum
import pytest
from late import Late

from trainyard.core.catalogue import Catalogue

pytestmark = pytest.mark.xdist_group("airflow")

base = Late("airflow.timetables.base")
ours = Late("trainyard.airflow.timetable")
_ID = "training-DOl4q2LkR"
_AT = 1_700_000_000.123457
_MOMENT = pendulum.from_timestamp(_AT)


@pytest.fixture
def timetable():
    return ours.TrainingTimetable(_ID, _AT)


def _next(timetable, last=None, catchup=False):
    restriction = base.TimeRestriction(earliest=pendulum.datetime(2017, 11, 1), latest=None, catchup=catchup)
    return timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)


def test_the_first_run_starts_at_the_moment_of_submission(timetable):
    first = _next(timetable)
    assert first.run_after == first.logical_date == _MOMENT


def test_a_first_run_that_was_deleted_in_airflow_is_not_made_again(timetable, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINYARD_CATALOGUE", str(tmp_path))
    assert _next(timetable) is not None
    Catalogue(tmp_path).mark_begun(_ID)
    assert _next(timetable) is None


def test_there_is_never_a_second_run_by_itself(timetable):
    assert _next(timetable, last=base.DataInterval.exact(_MOMENT)) is None


def test_a_backfill_finds_nothing_to_train(timetable):
    assert _next(timetable, catchup=True) is None


def _named(timetable, kind, moment):
    from airflow.utils.types import DagRunType

    interval = base.DataInterval.exact(moment)
    return timetable.generate_run_id(run_type=DagRunType(kind), run_after=moment, data_interval=interval)


def test_the_first_run_has_the_id_that_was_handed_out_at_the_door(timetable):
    assert _named(timetable, "scheduled", _MOMENT) == _ID


@pytest.mark.parametrize("kind", ["manual", "asset_triggered", "backfill"])
def test_every_other_run_has_a_fresh_id_of_the_same_shape(timetable, kind):
    found = {_named(timetable, kind, _MOMENT) for _ in range(3)}
    assert len(found | {_ID}) == 4
    assert all(re.fullmatch(r"training-[A-Za-z0-9]{9}", run_id) for run_id in found)


def test_a_manual_run_is_about_its_own_moment(timetable):
    now = pendulum.datetime(2026, 1, 1)
    assert timetable.infer_manual_data_interval(run_after=now) == base.DataInterval.exact(now)


def test_airflow_keeps_a_timetable_and_gets_the_same_one_back(timetable):
    """Only what a plugin registered can be kept, so this also says that ours does."""
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable

    kept = decode_timetable(encode_timetable(timetable))
    assert isinstance(kept, ours.TrainingTimetable)
    assert kept.serialize() == timetable.serialize() == {"first_id": _ID, "first_at": _AT, "words": ""}
    assert _named(kept, "scheduled", _MOMENT) == _ID


def test_people_are_told_when_it_is_trained_again():
    assert ours.TrainingTimetable(_ID, _AT).summary == "once"
    assert ours.TrainingTimetable.deserialize({"first_id": _ID, "first_at": _AT}).summary == "once"
    spoken = ours.TrainingTimetable(_ID, _AT, "0 3 * * * Europe/Berlin")
    assert ours.TrainingTimetable.deserialize(spoken.serialize()).summary == "0 3 * * * Europe/Berlin"
