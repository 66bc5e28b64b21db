"""Scheduled retraining: what is started when, what is not and why, and who may change it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from retrainingyard import ADA, HOURLY, MALLORY, MIDNIGHT, ROOT
from retrainingyard import yard as yard  # a fixture
from samples import MODEL_ID

from trainyard.core.deletions import Deletion
from trainyard.core.retraining import Look, ScheduleState, Settled
from trainyard.domain.schedule import Overlap, Schedule
from trainyard.errors import TrainyardError

HOUR = 3600.0
ON_NEW_DATA = Schedule(every_seconds=900)
_OTHER = "training-Xz81mQ0aB"


class TestDeletedTrainings:
    def test_nothing_is_started_looked_at_or_shown_until_the_training_is_back(self, yard):
        yard.schedule(HOURLY)
        yard.schedule(ON_NEW_DATA, _OTHER)
        for training_id in (MODEL_ID, _OTHER):
            yard.catalogue.deletions.keep(Deletion(training_id, training_id, "ada", yard.now, last=True))
        yard.now = MIDNIGHT + HOUR + 3
        assert yard.due() == Settled([], [])
        assert yard.retraining.looked(_OTHER, yard.now, "v1", "", ROOT) is None
        assert (yard.runs.started, yard.retraining.all(ADA)) == ({}, ([], 0))
        with pytest.raises(TrainyardError, match="there is no schedule"):
            yard.seen()
        yard.catalogue.deletions.remove(MODEL_ID)
        assert yard.due().started == ["run-1"]


class TestCron:
    def test_a_run_starts_when_it_is_due_and_once(self, yard):
        yard.schedule(HOURLY)
        assert yard.due().started == []
        yard.now = MIDNIGHT + HOUR + 3
        assert yard.due().started == ["run-1"]
        assert yard.due().started == []
        assert list(yard.runs.started) == [(MODEL_ID, MIDNIGHT + HOUR)]
        assert yard.seen().next_at == MIDNIGHT + 2 * HOUR
        assert yard.seen().last_run == "run-1"

    def test_two_services_that_look_at_the_same_moment_start_one_run(self, yard):
        yard.schedule(HOURLY)
        yard.now = MIDNIGHT + HOUR
        with ThreadPoolExecutor(8) as pool:
            settled = list(pool.map(lambda _: yard.due(), range(8)))
        assert [model_id for each in settled for model_id in each.started] == ["run-1"]

    def test_a_service_that_died_after_the_start_starts_no_second_run(self, yard):
        yard.schedule(HOURLY)
        before = yard.schedules.get(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        yard.due()
        yard.schedules.keep(before)
        assert yard.due().started == ["run-1"]
        assert len(yard.runs.started) == 1

    def test_a_run_that_is_due_while_one_is_going_is_skipped_and_says_so(self, yard):
        yard.schedule(HOURLY)
        yard.runs.busy.add(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        assert yard.due().started == []
        assert yard.seen().entry.note == "skipped: the scheduled run before it was still going"
        yard.runs.busy.clear()
        yard.now += 60
        assert yard.due().started == []

    def test_a_run_that_waits_starts_when_the_one_before_it_has_ended_and_only_one_does(self, yard):
        yard.schedule(replace(HOURLY, overlap=Overlap.WAIT))
        yard.runs.busy.add(MODEL_ID)
        for hour in (1, 2, 3):
            yard.now = MIDNIGHT + hour * HOUR
            assert yard.due().started == []
        assert yard.seen().entry.note == "waits for the scheduled run before it"
        yard.runs.busy.clear()
        yard.now += 1800
        assert yard.due().started == ["run-1"]
        assert yard.due().started == []
        assert yard.seen().entry.note == ""

    def test_what_was_missed_while_nobody_looked_is_not_made_up_for(self, yard):
        yard.schedule(HOURLY)
        yard.now = MIDNIGHT + 5 * HOUR + 601
        assert yard.due().started == []
        assert yard.seen().entry.note == "skipped: the service did not run when it was due"
        yard.now = MIDNIGHT + 6 * HOUR
        assert yard.due().started == ["run-1"]

    def test_a_short_outage_costs_no_run(self, yard):
        yard.schedule(HOURLY)
        yard.now = MIDNIGHT + HOUR + 599
        assert yard.due().started == ["run-1"]

    def test_nothing_starts_in_a_dag_that_is_paused_in_airflow(self, yard):
        yard.schedule(HOURLY)
        yard.runs.frozen.add(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        assert yard.due().started == []
        assert yard.seen().entry.note == "skipped: its DAG is paused in Airflow"
        assert yard.seen().state is ScheduleState.PAUSED

    def test_resuming_takes_back_a_pause_in_airflow_and_makes_up_for_nothing(self, yard):
        yard.schedule(HOURLY)
        yard.runs.frozen.add(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        yard.due()
        assert yard.retraining.set(MODEL_ID, ScheduleState.ACTIVE, ADA).state is ScheduleState.ACTIVE
        assert yard.due().started == []
        yard.now += HOUR
        assert len(yard.due().started) == 1

    def test_a_training_that_airflow_does_not_know_says_so(self, yard):
        yard.schedule(HOURLY)
        yard.runs.strangers.add(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        assert yard.due().started == []
        assert yard.seen().entry.note == "skipped: Airflow does not know the training yet"

    def test_a_schedule_without_a_training_starts_nothing(self, yard):
        yard.schedule(HOURLY)
        yard.catalogue.remove(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        assert yard.due().started == []


class TestBestPoint:
    def test_the_best_of_the_search_is_trained_again(self, yard):
        yard.schedule(replace(HOURLY, point="best"), hyperparameters={"lr": 0.5})
        yard.retraining = replace(yard.retraining, best_point=lambda training_id: {"lr": 0.01})
        yard.now = MIDNIGHT + 3600
        (model_id,) = yard.retraining.settle(ROOT).started
        assert yard.catalogue.starts.get(model_id).values == {"lr": 0.01}
        assert yard.catalogue.starts.pending() == {}
        yard.now += 3600
        assert list(yard.retraining.settle(ROOT).started) != [model_id]

    def test_without_a_best_one_nothing_is_started_and_the_schedule_says_why(self, yard):
        yard.schedule(replace(HOURLY, point="best"))
        yard.now = MIDNIGHT + 3600
        assert list(yard.due().started) == []
        assert yard.seen().entry.note == "skipped: its search has found no best point yet"


class TestNewData:
    def test_data_is_looked_at_when_due_and_trains_if_it_is_new(self, yard):
        yard.schedule(ON_NEW_DATA)
        yard.runs.versions[MODEL_ID] = "v1"
        yard.now = MIDNIGHT + 905
        settled = yard.due()
        assert (settled.started, settled.looks) == ([], [Look(MODEL_ID, MIDNIGHT + 900)])
        assert yard.due().looks == []
        assert yard.retraining.looked(MODEL_ID, MIDNIGHT + 900, "v2", "", ROOT) == "run-1"
        assert yard.seen().entry.note == ""

    def test_data_that_was_trained_on_already_starts_nothing(self, yard):
        yard.schedule(ON_NEW_DATA)
        yard.runs.versions[MODEL_ID] = "v1"
        assert yard.retraining.looked(MODEL_ID, MIDNIGHT, "v1", "", ROOT) is None
        assert yard.seen().entry.note == "the data is as it was when it was trained last"

    def test_new_data_waits_for_the_run_that_is_going(self, yard):
        yard.schedule(ON_NEW_DATA)
        yard.runs.busy.add(MODEL_ID)
        assert yard.retraining.looked(MODEL_ID, MIDNIGHT, "v2", "", ROOT) is None
        yard.runs.busy.clear()
        assert yard.retraining.looked(MODEL_ID, MIDNIGHT + 900, "v2", "", ROOT) == "run-1"

    def test_a_look_that_fails_is_told(self, yard):
        yard.schedule(ON_NEW_DATA)
        assert yard.retraining.looked(MODEL_ID, MIDNIGHT, None, "C103: there is no bucket x", ROOT) is None
        assert yard.seen().entry.note == "C103: there is no bucket x"

    @pytest.mark.parametrize("state", [ScheduleState.PAUSED, ScheduleState.ENDED])
    def test_what_was_looked_at_while_somebody_stopped_it_starts_nothing(self, yard, state):
        yard.schedule(ON_NEW_DATA)
        yard.retraining.set(MODEL_ID, state, ADA)
        assert yard.retraining.looked(MODEL_ID, MIDNIGHT, "v2", "", ROOT) is None
        assert yard.runs.started == {}


class TestChanging:
    def test_a_paused_schedule_starts_nothing_and_makes_up_for_nothing_when_it_goes_on(self, yard):
        yard.schedule(HOURLY)
        assert yard.retraining.set(MODEL_ID, ScheduleState.PAUSED, ADA).state is ScheduleState.PAUSED
        assert yard.seen().next_at is None
        yard.now = MIDNIGHT + HOUR + 10
        assert yard.due().started == []
        yard.now += 30
        yard.retraining.set(MODEL_ID, ScheduleState.ACTIVE, ADA)
        assert yard.due().started == []
        assert yard.seen().next_at == MIDNIGHT + 2 * HOUR

    def test_going_on_with_what_was_not_paused_drops_nothing(self, yard):
        yard.schedule(HOURLY)
        yard.now = MIDNIGHT + HOUR + 1
        yard.retraining.set(MODEL_ID, ScheduleState.ACTIVE, ADA)
        assert yard.due().started == ["run-1"]

    def test_a_pause_drops_what_waits(self, yard):
        yard.schedule(replace(HOURLY, overlap=Overlap.WAIT))
        yard.runs.busy.add(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        yard.due()
        yard.retraining.set(MODEL_ID, ScheduleState.PAUSED, ADA)
        yard.retraining.set(MODEL_ID, ScheduleState.ACTIVE, ADA)
        yard.runs.busy.clear()
        assert yard.due().started == []

    def test_an_ended_schedule_is_ended_for_good(self, yard):
        yard.schedule(HOURLY)
        assert yard.retraining.set(MODEL_ID, ScheduleState.ENDED, ADA).state is ScheduleState.ENDED
        with pytest.raises(TrainyardError, match=f"the schedule of {MODEL_ID} has ended") as refused:
            yard.retraining.set(MODEL_ID, ScheduleState.ACTIVE, ADA)
        assert refused.value.code.code == "C111"

    def test_a_schedule_is_ended_by_its_until(self, yard):
        yard.schedule(replace(HOURLY, until=MIDNIGHT + 1.5 * HOUR))
        yard.now = MIDNIGHT + HOUR
        assert yard.due().started == ["run-1"]
        assert (yard.seen().state, yard.seen().next_at) == (ScheduleState.ENDED, None)
        yard.now = MIDNIGHT + 2 * HOUR
        assert yard.due().started == []


class TestSeeing:
    def test_the_next_due_come_first_and_pages_count_all(self, yard):
        yard.schedule(HOURLY)
        yard.schedule(ON_NEW_DATA, _OTHER)
        everything, total = yard.retraining.all(ADA)
        assert ([each.training.id for each in everything], total) == ([_OTHER, MODEL_ID], 2)
        page, total = yard.retraining.all(ADA, limit=1, offset=1)
        assert ([each.training.id for each in page], total) == ([MODEL_ID], 2)

    def test_schedules_of_other_accounts_are_not_there(self, yard):
        yard.schedule(HOURLY)
        assert yard.retraining.all(MALLORY) == ([], 0)

    def test_a_page_of_many_asks_airflow_as_often_as_one_of_two(self, yard):
        ids = [f"training-{number:09d}" for number in range(30)]
        for training_id in ids:
            yard.schedule(HOURLY, training_id)
        yard.runs.frozen.add(ids[7])
        page, total = yard.retraining.all(ADA)
        assert (total, [each.training.id for each in page if each.state is ScheduleState.PAUSED]) == (30, [ids[7]])
        assert [each.last_run for each in page] == ids
        assert yard.runs.asked == ["held", "newest"]
        for ask in (
            lambda: yard.retraining.one(MODEL_ID, MALLORY),
            lambda: yard.retraining.set(MODEL_ID, ScheduleState.PAUSED, MALLORY),
        ):
            with pytest.raises(TrainyardError) as refused:
                ask()
            assert refused.value.code.code == "C107"

    def test_only_the_service_itself_starts_what_is_due(self, yard):
        yard.schedule(HOURLY)
        for ask in (
            lambda: yard.retraining.settle(ADA),
            lambda: yard.retraining.looked(MODEL_ID, MIDNIGHT, "v", "", ADA),
        ):
            with pytest.raises(TrainyardError) as refused:
                ask()
            assert refused.value.code.code == "C106"


class TestSkipped:
    def test_whoever_listens_hears_once_of_each_run_that_is_not_started(self, yard):
        heard = []
        yard.retraining = replace(yard.retraining, skipped=lambda training, note, _: heard.append((training.id, note)))
        yard.schedule(HOURLY)
        yard.runs.busy.add(MODEL_ID)
        yard.now = MIDNIGHT + HOUR
        yard.due()
        yard.due()
        assert heard == [(MODEL_ID, "skipped: the scheduled run before it was still going")]
        yard.runs.busy.clear()
        yard.now += HOUR
        yard.due()
        assert len(heard) == 1
