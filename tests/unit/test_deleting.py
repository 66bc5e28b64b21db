"""A deleted run is gone from every list, comes back within its time, and is really removed after it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import MODEL_ID, RUN, training
from serviceworld import ADA, GRACE, ROOT
from serviceworld import world as world  # a fixture

from trainyard.core.deleting import Deleting
from trainyard.core.deletions import Deletion
from trainyard.core.runs import Filter, Run
from trainyard.core.schedules import Entry
from trainyard.domain.outcome import Outcome
from trainyard.domain.schedule import Progress, Schedule
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

AGAIN = "training-again0000"
NOW, DAY = 1_700_000_000.0, 86_400.0
HOURLY = Entry(MODEL_ID, Schedule(cron="0 * * * *"), Progress(0.0))


@pytest.fixture
def deleting(world):
    """Over a finished run of the speech account, whose service has a clock to turn."""
    there = training(MODEL_ID, account="speech")
    world.catalogue.add(replace(there, experiment="rates"))
    world.vault.kept[MODEL_ID] = "credentials"
    world.history.runs[MODEL_ID] = Run(
        MODEL_ID, MODEL_ID, "tf-mnist", "speech", "tensorflow 2.16", 1, Phase.DONE, NOW, outcome=Outcome()
    )
    world.now = NOW
    world.service = replace(world.service, clock=lambda: world.now)
    return Deleting(world.service)


def _code(action, *arguments, **named):
    with pytest.raises(TrainyardError) as refused:
        action(*arguments, **named)
    return refused.value.code.code


def _listed(world, **wanted):
    return [run.model_id for run in world.service.runs(GRACE, 10, 0, Filter(**wanted))[0]]


def _sweep(deleting):
    for mark in deleting.due():
        deleting.remove(mark)


class TestDeleted:
    def test_a_deleted_run_is_in_no_list_and_all_that_it_has_stays(self, world, deleting):
        assert deleting.delete(MODEL_ID, GRACE) == NOW + DAY
        assert (
            _listed(world) == world.service.matching("tf-mnist", GRACE) == world.service.matching("DOl4q", GRACE) == []
        )
        assert world.service.runs_of(GRACE, [MODEL_ID], 10) == []
        assert world.service.experiments(GRACE) == {}
        for ask in (world.service.run, world.service.results, world.service.cancel, world.service.run_of_log):
            assert _code(ask, MODEL_ID, GRACE) == "C107"
        assert (world.catalogue.ids(), set(world.vault.kept), world.files_forgotten) == ({MODEL_ID}, {MODEL_ID}, [])

    def test_who_asks_for_deleted_ones_sees_it_with_its_time(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        (run,), total = world.service.runs(GRACE, 10, 0, Filter(deleted=True))
        assert (run.deleted_at, run.deleted_until, total) == (NOW, NOW + DAY, 1)
        assert world.service.run(MODEL_ID, GRACE, deleted=True) == run
        assert world.service.matching("tf-mnist", GRACE, deleted=True)[0].model_id == MODEL_ID
        assert world.service.runs(ADA, 10, 0, Filter(deleted=True))[0] == []

    def test_a_second_delete_finds_no_run_and_its_time_stays(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        world.now += 100
        assert _code(deleting.delete, MODEL_ID, GRACE) == "C107"
        assert [mark.at for mark in world.catalogue.deletions.all()] == [NOW]

    def test_at_once_removes_it_also_where_it_is_deleted_already(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        assert deleting.delete(MODEL_ID, GRACE, now=True) is None
        assert (world.history.runs, world.catalogue.ids(), world.catalogue.deletions.all()) == ({}, set(), [])

    def test_a_service_that_keeps_none_removes_it_at_once(self, world, deleting):
        none = replace(world.service, settings=read_settings({"TRAINYARD_DELETED_KEEP_SECONDS": "0"}))
        assert Deleting(none).delete(MODEL_ID, GRACE) is None
        assert world.history.runs == {}

    def test_a_run_whose_id_could_name_no_mark_goes_at_once(self, world, deleting):
        world.history.runs["manual__2026"] = replace(world.history.runs[MODEL_ID], model_id="manual__2026")
        assert deleting.delete("manual__2026", GRACE) is None
        assert set(world.history.runs) == {MODEL_ID}


class TestUndelete:
    def test_it_is_back_as_it_was(self, world, deleting):
        before = world.service.run(MODEL_ID, GRACE)
        deleting.delete(MODEL_ID, GRACE)
        world.now += DAY
        assert deleting.undelete(MODEL_ID, GRACE) == before
        assert _listed(world) == [MODEL_ID]
        assert _listed(world, deleted=True) == []

    def test_after_its_time_it_does_not_come_back_also_before_it_is_removed(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        world.now += DAY + 1
        with pytest.raises(TrainyardError, match="the time is over in which") as refused:
            deleting.undelete(MODEL_ID, GRACE)
        assert refused.value.code.code == "C107"
        _sweep(deleting)
        assert _code(deleting.undelete, MODEL_ID, GRACE) == "C107"

    def test_nobody_brings_back_a_run_of_others_or_one_that_is_not_deleted(self, world, deleting):
        assert _code(deleting.undelete, MODEL_ID, GRACE) == "C108"
        deleting.delete(MODEL_ID, GRACE)
        assert _code(deleting.undelete, MODEL_ID, ADA) == "C107"
        assert _code(deleting.undelete, "training-nothere00", GRACE) == "C107"
        assert _code(deleting.undelete, "../../etc", GRACE) == "C107"
        assert deleting.undelete(MODEL_ID, ROOT).model_id == MODEL_ID


class TestRemoval:
    def test_it_is_removed_when_its_time_is_over_and_not_before(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        world.now += DAY
        assert deleting.due() == []
        world.now += 1
        _sweep(deleting)
        assert (world.history.runs, world.catalogue.ids(), world.vault.kept) == ({}, set(), {})
        assert (world.files_forgotten, world.catalogue.deletions.all()) == ([RUN], [])

    def test_one_that_died_after_a_removal_and_before_its_mark_was_taken_away_goes_on(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        mark, world.now = world.catalogue.deletions.get(MODEL_ID), NOW + DAY + 1
        world.service.forget(world.history.runs[MODEL_ID])
        world.catalogue.deletions.keep(mark)
        _sweep(deleting)
        assert world.catalogue.deletions.all() == []

    def test_one_that_was_brought_back_meanwhile_stays(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        mark = world.catalogue.deletions.get(MODEL_ID)
        deleting.undelete(MODEL_ID, GRACE)
        deleting.remove(mark)
        assert set(world.history.runs) == {MODEL_ID}

    def test_one_that_somebody_started_again_in_airflow_stays(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        world.history.runs[MODEL_ID] = replace(world.history.runs[MODEL_ID], phase=Phase.TRAINING)
        world.now += DAY + 1
        (mark,) = deleting.due()
        assert _code(deleting.remove, mark) == "C108"
        assert set(world.history.runs) == {MODEL_ID}

    def test_a_mark_that_nobody_can_read_hides_nothing(self, world, deleting):
        deleting.delete(MODEL_ID, GRACE)
        (world.catalogue.folder / "deleted" / f"{MODEL_ID}.json").write_text("{")
        assert _listed(world) == [MODEL_ID]

    def test_a_run_of_another_training_with_the_id_of_a_deleted_one_is_not_hidden(self, world, deleting):
        world.catalogue.deletions.keep(Deletion(MODEL_ID, "training-other0000", "grace", NOW))
        assert _listed(world) == [MODEL_ID]
        assert world.service.run(MODEL_ID, GRACE)


class TestTrainings:
    @pytest.fixture
    def scheduled(self, world, deleting):
        world.service.schedules.keep(HOURLY)
        world.history.runs[AGAIN] = replace(world.history.runs[MODEL_ID], model_id=AGAIN)
        return deleting

    def test_a_training_is_deleted_with_its_last_run_and_with_any_of_them_it_is_back(self, world, scheduled):
        marks = world.catalogue.deletions
        scheduled.delete(MODEL_ID, GRACE)
        assert marks.trainings() == set()
        scheduled.delete(AGAIN, GRACE)
        assert marks.trainings() == {MODEL_ID}
        world.now += 7200
        scheduled.undelete(MODEL_ID, GRACE)
        assert marks.trainings() == set()
        assert _listed(world) == [MODEL_ID]

    def test_what_was_due_meanwhile_is_not_made_up_for(self, world, scheduled):
        scheduled.delete(MODEL_ID, GRACE)
        scheduled.delete(AGAIN, GRACE)
        world.now += 7200
        scheduled.undelete(AGAIN, GRACE)
        assert world.service.schedules.get(MODEL_ID) == HOURLY.with_progress(Progress(world.now))

    def test_its_schedule_goes_with_it_when_the_time_is_over(self, world, scheduled):
        for model_id in (MODEL_ID, AGAIN):
            scheduled.delete(model_id, GRACE)
        world.now += DAY + 1
        _sweep(scheduled)
        assert (world.history.runs, world.catalogue.ids(), world.service.schedules.ids()) == ({}, set(), set())

    def test_where_the_last_visible_run_goes_at_once_the_training_is_deleted_too(self, world, scheduled):
        scheduled.delete(MODEL_ID, GRACE)
        scheduled.delete(AGAIN, GRACE, now=True)
        assert world.catalogue.deletions.trainings() == {MODEL_ID}
