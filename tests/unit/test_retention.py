"""Housekeeping: which runs leave, what else goes with them, and what is never touched."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from samples import MODEL_ID, RUN, training
from service_fakes import Events, History, Vault

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.maintenance.retention import Housekeeper, expired, orphans
from trainyard.core.runs import Run
from trainyard.core.schedules import Entry, Schedules
from trainyard.core.starts import Start
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.schedule import Progress, Schedule
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

DAY = 24 * 3600.0
NOW = 1_700_000_000.0
ROOT = Caller("root", admin=True)
_DAILY = Schedule(cron="0 3 * * *")
_OTHER, _AGAIN = "training-Xz81mQ0aB", "training-again0000"


def _run(model_id, ended_days_ago, training_id=None):
    going = ended_days_ago is None
    return Run(
        model_id=model_id,
        training_id=training_id or model_id,
        name="tf-mnist",
        account="vision",
        framework="tensorflow 2.16",
        gpus=1,
        phase=Phase.TRAINING if going else Phase.DONE,
        submitted_at=NOW - 30 * DAY if going else NOW - (ended_days_ago + 1) * DAY,
        finished_at=None if going else NOW - ended_days_ago * DAY,
        outcome=None if going else Outcome(),
    )


class TestDecision:
    def test_a_run_leaves_when_its_days_since_the_end_are_over_the_longest_ended_first(self):
        runs = [_run("a", 6.9), _run("b", 7), _run("c", 30)]
        assert [run.model_id for run in expired(runs, NOW, 7, ())] == ["c", "b"]

    def test_a_run_that_is_going_stays_however_long_it_takes(self):
        assert expired([_run("a", None)], NOW, 7, ()) == []

    def test_a_failed_run_leaves_as_others_do(self):
        failed = replace(_run("a", 8), outcome=Outcome("C201"))
        assert expired([failed], NOW, 7, ()) == [failed]

    def test_a_training_with_a_schedule_keeps_its_newest_run_to_count_the_next_one_from(self):
        runs = [_run("first", 30, "s"), _run("second", 20, "s"), _run("newest", 10, "s"), _run("other", 9)]
        assert [run.model_id for run in expired(runs, NOW, 7, {"s"})] == ["first", "second", "other"]

    def test_no_folder_of_a_known_run_and_no_young_one_is_an_orphan(self):
        theirs = RunKey(_OTHER, MODEL_ID)
        folders = {RUN: 1.0, theirs: 1.0, RunKey(MODEL_ID, _AGAIN): 99.0}
        assert orphans(folders, {theirs}, 50.0) == [RUN]
        assert orphans({MODEL_ID: 1.0, _OTHER: 1.0, _AGAIN: 99.0}, {_OTHER}, 50.0) == [MODEL_ID]


class _Leftovers:
    """What Airflow would hold; notes what is forgotten."""

    def __init__(self):
        self.dags, self.own, self.forgotten, self.known = set(), [], [], set()

    def runs(self):
        return self.known

    def trainings(self, before):
        return self.dags

    def forget_training(self, training_id):
        self.forgotten.append(training_id)

    def own_runs(self, before):
        return self.own

    def forget_own_run(self, dag_id, run_id):
        self.forgotten.append((dag_id, run_id))


class _Folders:
    """What the workspace would have, with the moments of the last changes."""

    def __init__(self):
        self.of_runs, self.of_trainings = {}, {}

    def runs(self):
        return self.of_runs

    def trainings(self):
        return self.of_trainings


@pytest.fixture
def yard(tmp_path):
    """A housekeeper over a real catalogue and fakes of the other ports."""
    there = SimpleNamespace(
        catalogue=Catalogue(tmp_path / "catalogue"),
        schedules=Schedules(tmp_path / "catalogue"),
        vault=Vault(),
        history=History(),
        leftovers=_Leftovers(),
        folders=_Folders(),
        removed_files=[],
        removed_folders=[],
        evicted=[],
        broken=set(),
        events=Events(),
    )

    def forget(run):
        if run.model_id in there.broken:
            raise TrainyardError("S500", "the folder cannot be removed", "Remove it by hand.")
        if there.history.is_last(run):
            there.catalogue.remove(run.training_id)
            there.vault.forget(run.training_id)
        there.history.forget(run)

    def evict(most, dry):
        there.evicted.append((most, dry))
        return ["datasets/old"]

    def page(caller, limit, offset):
        return there.history.page(None, limit, offset)

    service = SimpleNamespace(
        catalogue=there.catalogue,
        schedules=there.schedules,
        vault=there.vault,
        settings=read_settings({}),
        clock=lambda: NOW,
        runs=page,
        forget=forget,
        forget_files=there.removed_files.append,
        audit=there.events.audit,
    )
    forget_folder = there.removed_folders.append
    vault_ids = partial(set, there.vault.kept)
    there.keeper = Housekeeper(service, there.leftovers, vault_ids, there.folders, forget_folder, evict)
    return there


def _registered(yard, *runs, **changes):
    for run in runs:
        yard.catalogue.add(training(run.training_id, **changes))
        yard.catalogue.zip_path(run.training_id).write_bytes(b"PK")
        yard.vault.kept[run.training_id] = "credentials"
        yard.history.runs[run.model_id] = run


def _aged(path, days):
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))


class TestSweeping:
    def test_the_last_run_takes_training_zip_and_connections_along(self, yard):
        _registered(yard, _run(MODEL_ID, 8), _run(_OTHER, 1))
        report = yard.keeper.sweep(ROOT, dry=False)
        assert (report.runs, report.trainings, report.failed, report.left) == ([MODEL_ID], [MODEL_ID], [], 0)
        assert yard.catalogue.ids() == set(yard.vault.kept) == set(yard.history.runs) == {_OTHER}
        assert not yard.catalogue.zip_path(MODEL_ID).exists()

    def test_a_training_stays_while_another_of_its_runs_does(self, yard):
        _registered(yard, _run(MODEL_ID, 8), _run(_AGAIN, 1, MODEL_ID))
        report = yard.keeper.sweep(ROOT, dry=False)
        assert (report.runs, report.trainings) == ([MODEL_ID], [])
        assert yard.catalogue.ids() == {MODEL_ID}

    def test_a_training_with_a_schedule_keeps_its_newest_run_until_the_schedule_has_ended(self, yard):
        _registered(yard, _run(MODEL_ID, 20), _run(_AGAIN, 10, MODEL_ID))
        entry = Entry(MODEL_ID, _DAILY, Progress(NOW))
        yard.schedules.keep(entry)
        report = yard.keeper.sweep(ROOT, dry=False)
        assert (report.runs, report.trainings) == ([MODEL_ID], [])
        assert yard.catalogue.ids() == set(yard.vault.kept) == {MODEL_ID}
        yard.schedules.keep(entry.with_progress(Progress(NOW, ended=True)))
        assert yard.keeper.sweep(ROOT, dry=False).trainings == [MODEL_ID]

    def test_a_dry_sweep_says_the_same_and_removes_nothing(self, yard):
        _registered(yard, _run(MODEL_ID, 8), _run(_OTHER, 1))
        yard.leftovers.own = [("quotas", "scheduled__1")]
        yard.vault.kept[_AGAIN] = "nobody's"
        dry = yard.keeper.sweep(ROOT, dry=True).as_dict()
        assert yard.catalogue.ids() == {MODEL_ID, _OTHER}
        assert set(yard.vault.kept) == {MODEL_ID, _OTHER, _AGAIN}
        assert yard.leftovers.forgotten == []
        assert yard.evicted == [(100 * 1024**3, True)]
        assert yard.keeper.sweep(ROOT, dry=False).as_dict() == {**dry, "dry_run": False}

    def test_one_run_that_cannot_go_keeps_none_of_the_others_and_is_named(self, yard):
        _registered(yard, _run(MODEL_ID, 9), _run(_OTHER, 8))
        yard.broken = {MODEL_ID}
        report = yard.keeper.sweep(ROOT, dry=False)
        assert (report.runs, report.trainings) == ([_OTHER], [_OTHER])
        assert report.failed == [{"name": MODEL_ID, "reason": "the folder cannot be removed"}]

    def test_years_of_history_go_in_batches(self, yard):
        _registered(yard, *(_run(f"training-{number:09}", 8 + number) for number in range(301)))
        report = yard.keeper.sweep(ROOT, dry=False)
        assert (len(report.runs), report.left) == (300, 1)
        assert yard.keeper.sweep(ROOT, dry=False).runs == ["training-000000000"]

    def test_who_swept_and_each_thing_that_went_is_recorded_and_a_dry_sweep_is_not(self, yard):
        _registered(yard, _run(MODEL_ID, 8))
        yard.keeper.sweep(ROOT, dry=True)
        assert yard.events == []
        yard.keeper.sweep(ROOT, dry=False)
        assert {event.actor for event in yard.events} == {"root"}
        assert yard.events.seen("action", "run", "training") == [
            ("housekeeping", "", ""),
            ("housekeeping.remove", MODEL_ID, ""),
            ("housekeeping.remove", "", MODEL_ID),
            ("housekeeping.remove", "", ""),
        ]
        assert yard.events[0].details == {"removed": 3, "failed": 0, "left": 0}
        assert yard.events[-1].details == {"kind": "datasets", "name": "datasets/old"}

    def test_members_keep_no_house(self, yard):
        with pytest.raises(TrainyardError) as refusal:
            yard.keeper.sweep(Caller("ada"), dry=True)
        assert refusal.value.code.code == "C106"
        assert yard.events.seen("actor", "action", "result", "code") == [("ada", "housekeeping", "refused", "C106")]


class TestOrphans:
    def test_what_belongs_to_no_training_goes_after_a_day(self, yard):
        _registered(yard, _run(_OTHER, 1))
        yard.vault.kept |= {MODEL_ID: "no zip", _AGAIN: "just being registered"}
        yard.catalogue.zip_path(_AGAIN).write_bytes(b"PK")
        _aged(yard.catalogue.zip_path(_AGAIN), 0.9)
        old = yard.catalogue.zip_path("training-000000000")
        old.write_bytes(b"PK")
        _aged(old, 1.1)
        for training_id in (_OTHER, MODEL_ID, _AGAIN):
            yard.schedules.keep(Entry(training_id, _DAILY, Progress(NOW)))
        yard.leftovers.dags = {MODEL_ID, _OTHER}
        yard.folders.of_runs = {RUN: NOW - 2 * DAY, RunKey.first_of(_OTHER): 0.0, RunKey.first_of(_AGAIN): NOW}
        yard.folders.of_trainings = {run.training_id: changed for run, changed in yard.folders.of_runs.items()}
        report = yard.keeper.sweep(ROOT, dry=False)
        assert report.orphans == [
            f"DAG {MODEL_ID}",
            f"connections {MODEL_ID}",
            f"schedule {MODEL_ID}",
            "zip training-000000000",
            f"workspace {MODEL_ID}",
            f"workspace of {MODEL_ID}",
        ]
        assert set(yard.vault.kept) == yard.schedules.ids() == {_OTHER, _AGAIN}
        assert yard.leftovers.forgotten == [MODEL_ID]
        assert (yard.removed_files, yard.removed_folders) == ([RUN], [MODEL_ID])
        assert not old.exists()

    def test_a_run_that_only_has_the_id_of_a_known_one_goes_and_the_folder_of_its_training_stays(self, yard):
        _registered(yard, _run(MODEL_ID, 1), _run(_OTHER, 1))
        yard.leftovers.known = {RunKey(MODEL_ID, _AGAIN)}
        yard.folders.of_runs = {RUN: 0.0, RunKey(MODEL_ID, _AGAIN): 0.0, RunKey(_OTHER, _AGAIN): 0.0}
        yard.folders.of_trainings = {MODEL_ID: 0.0, _OTHER: 0.0}
        assert yard.keeper.sweep(ROOT, dry=False).orphans == [f"workspace {_AGAIN}"]
        assert (yard.removed_files, yard.removed_folders) == ([RunKey(_OTHER, _AGAIN)], [])

    def test_the_folder_of_an_unknown_training_stays_while_airflow_has_a_run_of_it(self, yard):
        yard.leftovers.known = {RunKey(MODEL_ID, _AGAIN)}
        yard.folders.of_trainings = {MODEL_ID: 0.0, _OTHER: 0.0, "training-young0000": NOW}
        assert yard.keeper.sweep(ROOT, dry=False).orphans == [f"workspace of {_OTHER}"]
        assert yard.removed_folders == [_OTHER]

    def test_what_runs_were_asked_for_goes_a_day_after_these_were_deleted_in_airflow(self, yard):
        _registered(yard, _run(MODEL_ID, 1))
        kept, gone, waiting = (f"training-start000{number}" for number in range(3))
        for model_id in (kept, gone, waiting):
            yard.catalogue.starts.add(Start(model_id, MODEL_ID, "ada", NOW))
            if model_id != waiting:
                yard.catalogue.starts.settle(model_id)
                _aged(yard.catalogue.folder / "starts" / f"{model_id}.json", 2)
        yard.leftovers.known = {RUN, RunKey(MODEL_ID, kept)}
        assert yard.keeper.sweep(ROOT, dry=False).orphans == [f"start {gone}"]
        assert yard.catalogue.starts.all().keys() == {kept, waiting}

    def test_a_training_stays_whose_next_run_is_still_to_be_made(self, yard):
        _registered(yard, _run(MODEL_ID, 1))
        yard.catalogue.mark_begun(MODEL_ID)
        yard.catalogue.starts.add(Start(_AGAIN, MODEL_ID, "ada", NOW))
        yard.leftovers.known = {RunKey(_OTHER, _OTHER)}
        yard.keeper.sweep(ROOT, dry=False)
        assert yard.catalogue.ids() == {MODEL_ID}

    def test_a_dry_sweep_removes_no_folder(self, yard):
        yard.folders.of_runs, yard.folders.of_trainings = {RUN: 0.0}, {MODEL_ID: 0.0}
        report = yard.keeper.sweep(ROOT, dry=True)
        assert report.orphans == [f"workspace {MODEL_ID}", f"workspace of {MODEL_ID}"]
        assert (yard.removed_files, yard.removed_folders) == ([], [])

    def test_a_catalogue_that_is_not_mounted_makes_no_orphans(self, yard):
        yard.leftovers.dags = {MODEL_ID}
        yard.vault.kept[MODEL_ID] = "credentials"
        assert yard.keeper.sweep(ROOT, dry=False).orphans == []
        assert yard.vault.kept
