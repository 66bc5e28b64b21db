"""When a schedule is due: over changes of the clocks, to its end, and while runs are going."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import training

from trainyard.domain.schedule import Overlap, Progress, Schedule
from trainyard.domain.training import TrainingSpec

BERLIN = "Europe/Berlin"
LATE = 600.0
# In Berlin clocks go from 2:00 to 3:00 on 28 March 2027, and from 3:00 to 2:00 on 31 October 2027.
HOURLY = Schedule(cron="0 * * * *")
HOUR = 3600.0
NOON = datetime(2027, 6, 1, 12, tzinfo=UTC).timestamp()


def at(text: str, zone: str = BERLIN) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).timestamp()


def shown(moment: float | None, zone: str = BERLIN) -> str:
    assert moment is not None
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat()


def due(schedule: Schedule, start: str, count: int) -> list[str]:
    """List the next moments as the clocks of the schedule's zone show them, day and offset shortened."""
    found, moment = [], at(start, schedule.timezone)
    for _ in range(count):
        following = schedule.next_after(moment)
        assert following is not None
        assert following > moment
        found.append(shown(following, schedule.timezone)[8:16] + shown(following, schedule.timezone)[19:])
        moment = following
    return found


@pytest.fixture
def spec() -> TrainingSpec:
    return training().spec


class TestTicks:
    def test_a_cron_is_due_when_the_clocks_of_its_zone_show_it(self):
        schedule = Schedule(cron="30 2 * * *", timezone=BERLIN)
        assert shown(schedule.next_after(at("2027-01-10T12:00"))) == "2027-01-11T02:30:00+01:00"
        assert shown(schedule.next_after(at("2027-07-10T12:00"))) == "2027-07-11T02:30:00+02:00"

    def test_what_is_due_at_a_moment_is_not_due_after_it(self):
        tick = at("2027-01-11T02:30")
        assert Schedule(cron="30 2 * * *", timezone=BERLIN).next_after(tick) == tick + 24 * HOUR

    def test_fractions_of_seconds_do_not_hide_a_tick(self):
        tick = at("2027-01-11T02:30")
        assert Schedule(cron="30 2 * * *", timezone=BERLIN).next_after(tick - 0.001) == tick

    def test_a_time_that_the_night_leaves_out_comes_an_hour_later(self):
        schedule = Schedule(cron="30 2 * * *", timezone=BERLIN)
        assert due(schedule, "2027-03-27T00:00", 3) == ["27T02:30+01:00", "28T03:30+02:00", "29T02:30+02:00"]

    def test_a_time_that_is_left_out_is_not_forgotten_between_the_change_and_its_moved_run(self):
        schedule = Schedule(cron="30 2 * * *", timezone=BERLIN)
        assert shown(schedule.next_after(at("2027-03-28T03:10"))) == "2027-03-28T03:30:00+02:00"

    def test_a_left_out_time_and_the_one_it_moves_to_are_one_run(self):
        schedule = Schedule(cron="30 2,3 * * *", timezone=BERLIN)
        assert due(schedule, "2027-03-28T00:00", 2) == ["28T03:30+02:00", "29T02:30+02:00"]

    def test_a_time_that_the_night_shows_twice_comes_once(self):
        schedule = Schedule(cron="30 2 * * *", timezone=BERLIN)
        assert due(schedule, "2027-10-31T00:00", 2) == ["31T02:30+02:00", "01T02:30+01:00"]

    @pytest.mark.parametrize("hour", ["*", "*/1", "0-23"])
    def test_an_hourly_cron_goes_on_by_the_hour_when_an_hour_is_left_out(self, hour):
        schedule = Schedule(cron=f"15 {hour} * * *", timezone=BERLIN)
        assert due(schedule, "2027-03-28T00:30", 3) == ["28T01:15+01:00", "28T03:15+02:00", "28T04:15+02:00"]

    @pytest.mark.parametrize("hour", ["*", "*/1", "0-23"])
    def test_an_hourly_cron_goes_on_by_the_hour_when_an_hour_comes_twice(self, hour):
        schedule = Schedule(cron=f"15 {hour} * * *", timezone=BERLIN)
        wanted = ["31T01:15+02:00", "31T02:15+02:00", "31T02:15+01:00", "31T03:15+01:00"]
        assert due(schedule, "2027-10-31T00:30", 4) == wanted

    def test_a_minute_after_minute_cron_has_no_gap_and_no_double_in_both_nights(self):
        schedule = Schedule(cron="*/20 * * * *", timezone=BERLIN)
        for start in ("2027-03-28T00:00", "2027-10-31T00:00"):
            moment = at(start)
            for _ in range(15):
                assert schedule.next_after(moment) == moment + 1200
                moment += 1200

    def test_an_hourly_cron_keeps_its_minute_where_the_clocks_move_by_half_an_hour(self):
        schedule = Schedule(cron="0 * * * *", timezone="Australia/Lord_Howe")
        assert [one[3:8] for one in due(schedule, "2027-04-04T00:30", 3)] == ["01:00", "02:00", "03:00"]

    def test_a_day_that_never_comes_is_never_due(self):
        assert Schedule(cron="0 0 31 2 *").next_after(NOON) is None

    def test_a_leap_day_is_due_years_ahead(self):
        assert shown(Schedule(cron="0 0 29 2 *").next_after(NOON), "UTC") == "2028-02-29T00:00:00+00:00"

    def test_either_of_two_days_is_enough_as_in_every_cron(self):
        schedule = Schedule(cron="0 0 13 * fri")
        assert due(schedule, "2027-08-01T00:00", 3) == ["06T00:00+00:00", "13T00:00+00:00", "20T00:00+00:00"]

    @given(
        st.sampled_from(["30 2 * * *", "0 * * * *", "*/15 1-3 * * *", "5 */2 * * *", "59 23 * * sun", "0 0 * * *"]),
        st.sampled_from([BERLIN, "America/New_York", "Africa/Cairo", "America/Havana", "Asia/Kathmandu", "UTC"]),
        st.sampled_from(["2027-03-13", "2027-03-28", "2027-10-31", "2027-11-07", "2027-04-29", "2027-10-28"]),
        st.integers(0, 48 * 3600),
        st.floats(0, 1, exclude_max=True),
    )
    def test_the_next_tick_is_the_same_from_every_moment_before_it(self, cron, zone, day, seconds, share):
        schedule = Schedule(cron=cron, timezone=zone)
        moment = at(day, zone) + seconds
        following = schedule.next_after(moment)
        between = moment + share * (following - moment)
        assert schedule.next_after(between) == following or between == following


class TestLooks:
    def test_looks_are_on_a_grid_whatever_was_looked_at_last(self):
        schedule = Schedule(every_seconds=900)
        assert schedule.next_after(NOON) == NOON + 900
        assert schedule.next_after(NOON + 1) == NOON + 900
        assert schedule.next_after(NOON + 899.5) == NOON + 900

    def test_a_schedule_tells_what_it_goes_by(self):
        assert str(Schedule(every_seconds=900)) == "new data"
        assert str(Schedule(cron="30 2 * * *", timezone=BERLIN)) == "30 2 * * * Europe/Berlin"


class TestEnd:
    def test_nothing_is_due_at_the_end_or_later(self):
        schedule = replace(HOURLY, until=NOON + 2 * HOUR)
        assert schedule.next_after(NOON) == NOON + HOUR
        assert schedule.next_after(NOON + HOUR) is None

    def test_looks_end_too(self):
        assert Schedule(every_seconds=900, until=NOON + 900).next_after(NOON) is None

    def test_a_schedule_is_over_at_its_end(self):
        schedule = replace(HOURLY, until=NOON)
        assert not schedule.is_over(NOON - 1)
        assert schedule.is_over(NOON)
        assert not HOURLY.is_over(NOON * 9)


class TestRecords:
    @pytest.mark.parametrize(
        "schedule",
        [
            Schedule(cron="30 2 * * *", timezone=BERLIN, until=NOON, overlap=Overlap.WAIT),
            Schedule(every_seconds=900),
        ],
    )
    def test_a_schedule_comes_back_from_json(self, schedule):
        found = Schedule.from_dict(json.loads(json.dumps(schedule.as_dict())))
        assert found == schedule
        assert isinstance(found.overlap, Overlap)

    def test_a_schedule_is_plain_data_that_python_can_read_back_as_a_literal(self, spec):
        data = replace(spec, schedule=HOURLY).as_dict()
        assert ast.literal_eval(repr(data)) == data

    def test_keys_of_a_later_version_are_dropped(self):
        assert Schedule.from_dict({**HOURLY.as_dict(), "moon": "full"}) == HOURLY

    def test_a_spec_keeps_its_schedule(self, spec):
        scheduled = replace(spec, schedule=replace(HOURLY, overlap=Overlap.WAIT))
        assert TrainingSpec.from_dict(json.loads(json.dumps(scheduled.as_dict()))) == scheduled

    def test_a_spec_from_before_there_were_schedules_has_none(self, spec):
        old = {key: value for key, value in spec.as_dict().items() if key != "schedule"}
        assert TrainingSpec.from_dict(old) == spec


class TestSettling:
    def test_nothing_starts_before_it_is_due(self):
        progress = Progress(settled=NOON)
        assert not progress.is_due(HOURLY, NOON + HOUR - 1)
        after, start = progress.settle(HOURLY, NOON + HOUR - 1, going=False, late_seconds=LATE)
        assert start is None
        assert after == Progress(settled=NOON + HOUR - 1)

    def test_what_is_due_starts_once(self):
        progress = Progress(settled=NOON)
        assert progress.is_due(HOURLY, NOON + HOUR)
        after, start = progress.settle(HOURLY, NOON + HOUR + 5, going=False, late_seconds=LATE)
        assert start == NOON + HOUR
        assert not after.is_due(HOURLY, NOON + HOUR + 6)
        assert after.settle(HOURLY, NOON + HOUR + 6, going=False, late_seconds=LATE)[1] is None

    def test_a_tick_that_is_too_late_is_dropped(self):
        after, start = Progress(settled=NOON).settle(HOURLY, NOON + HOUR + 601, going=False, late_seconds=LATE)
        assert start is None
        assert after.next_time(HOURLY, NOON + HOUR + 601) == NOON + 2 * HOUR

    def test_of_many_missed_ticks_only_the_newest_starts_and_only_if_it_is_not_late(self):
        after, start = Progress(settled=NOON).settle(HOURLY, NOON + 9 * HOUR + 10, going=False, late_seconds=LATE)
        assert start == NOON + 9 * HOUR
        assert after.settle(HOURLY, NOON + 9 * HOUR + 20, going=False, late_seconds=LATE)[1] is None

    def test_a_clock_that_was_put_back_starts_nothing_again(self):
        settled = Progress(settled=NOON + HOUR)
        after, start = settled.settle(HOURLY, NOON + HOUR - 30, going=False, late_seconds=LATE)
        assert (after, start) == (settled, None)

    def test_a_tick_during_a_run_is_skipped(self):
        after, start = Progress(settled=NOON).settle(HOURLY, NOON + HOUR, going=True, late_seconds=LATE)
        assert (after, start) == (Progress(settled=NOON + HOUR), None)

    def test_a_tick_during_a_run_waits_for_its_end_however_long_that_takes(self):
        schedule = replace(HOURLY, cron="0 12 * * *", overlap=Overlap.WAIT)
        tick = NOON + 24 * HOUR
        waiting, start = Progress(settled=NOON).settle(schedule, tick, going=True, late_seconds=LATE)
        assert (waiting, start) == (Progress(settled=tick, waiting=tick), None)
        later = tick + 5 * HOUR
        assert waiting.is_due(schedule, later)
        still, start = waiting.settle(schedule, later, going=True, late_seconds=LATE)
        assert (still.waiting, start) == (tick, None)
        after, start = still.settle(schedule, later + 60, going=False, late_seconds=LATE)
        assert (after.waiting, start) == (None, tick)

    def test_one_run_waits_at_most(self):
        schedule = replace(HOURLY, overlap=Overlap.WAIT)
        progress = Progress(settled=NOON)
        for hours in (1, 2, 3):
            progress, start = progress.settle(schedule, NOON + hours * HOUR, going=True, late_seconds=LATE)
            assert start is None
        assert progress.waiting == NOON + 3 * HOUR
        progress, start = progress.settle(schedule, NOON + 3 * HOUR + 60, going=False, late_seconds=LATE)
        assert start == NOON + 3 * HOUR
        assert progress.settle(schedule, NOON + 3 * HOUR + 61, going=False, late_seconds=LATE) == (
            replace(progress, settled=NOON + 3 * HOUR + 61),
            None,
        )

    def test_what_waits_starts_even_after_the_schedules_end(self):
        schedule = replace(HOURLY, overlap=Overlap.WAIT, until=NOON + HOUR + 1)
        waiting, _ = Progress(settled=NOON).settle(schedule, NOON + HOUR, going=True, late_seconds=LATE)
        assert waiting.settle(schedule, NOON + 3 * HOUR, going=False, late_seconds=LATE)[1] == NOON + HOUR

    @pytest.mark.parametrize("stopped", [{"paused": True}, {"ended": True}])
    def test_while_paused_or_ended_nothing_is_due_and_what_comes_by_is_dropped(self, stopped):
        progress = Progress(settled=NOON, waiting=NOON, **stopped)
        assert not progress.is_due(HOURLY, NOON + 2 * HOUR)
        assert progress.next_time(HOURLY, NOON) is None
        after, start = progress.settle(HOURLY, NOON + 2 * HOUR, going=False, late_seconds=LATE)
        assert start is None
        assert after == Progress(settled=NOON + 2 * HOUR, **stopped)
        resumed = replace(after, paused=False, ended=False)
        assert not resumed.is_due(HOURLY, NOON + 2 * HOUR + 1)

    def test_the_next_time_is_that_of_what_waits(self):
        assert Progress(settled=NOON + 60, waiting=NOON).next_time(HOURLY, NOON + 60) == NOON

    def test_the_next_time_is_in_the_future(self):
        assert Progress(settled=NOON).next_time(HOURLY, NOON + 90 * 60) == NOON + 2 * HOUR

    def test_a_look_during_a_run_comes_again_at_the_next_point_of_the_grid(self):
        schedule = Schedule(every_seconds=900)
        after, start = Progress(settled=NOON).settle(schedule, NOON + 900, going=True, late_seconds=LATE)
        assert (after, start) == (Progress(settled=NOON + 900), None)
        assert after.next_time(schedule, NOON + 900) == NOON + 1800
