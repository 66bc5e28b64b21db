"""What the use cases record: who did what with what, and how it ended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from retrainingyard import HOURLY, MIDNIGHT
from retrainingyard import yard as yard  # a fixture
from samples import LIMITS, MODEL_ID, RUN, training
from service_fakes import Events
from serviceworld import ADA, GRACE, MALLORY, MANIFEST_TEXT, ROOT, SECRET
from serviceworld import packed as packed  # a fixture
from serviceworld import world as world  # a fixture

from trainyard.core.accounts import Caller
from trainyard.core.audit.accountchanges import record_changes
from trainyard.core.audit.event import line_of
from trainyard.core.deleting import Deleting
from trainyard.core.maintenance.orphans import Remnant, remove_orphans
from trainyard.core.maintenance.owners import UNKNOWN, Owner, Owners
from trainyard.core.retraining import ScheduleState
from trainyard.core.runs import Run
from trainyard.domain.limits import Account
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

_RUN = Run(MODEL_ID, MODEL_ID, "tf-mnist", "vision", "tensorflow 2.16", 1, Phase.TRAINING, 1.0, 2.0)


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def service(world, events):
    """The service of `world` with one run that trains, and a record of what is done."""
    world.catalogue.add(training())
    world.history.runs[MODEL_ID] = _RUN
    return replace(world.service, audit=events.audit)


def _attempt(*asked):
    with pytest.raises(TrainyardError):
        asked[0](*asked[1:])


class TestRuns:
    def test_a_submission_is_recorded_for_each_training_and_without_its_credentials(self, service, events, packed):
        manifests = [("", MANIFEST_TEXT.encode())] * 2
        made = service.registration.submit_all(manifests, packed(), None, Caller("ada", address="10.0.0.7"))
        assert events.seen("actor", "action", "account", "run", "result", "remote") == [
            ("ada", "submit", "vision", one.id, "ok", "10.0.0.7") for one in made
        ]
        assert events[0].details["zip_sha256"] == made[0].zip_sha256
        assert not any(SECRET.encode() in line_of(event) for event in events)

    def test_a_key_that_is_used_again_is_recorded_as_repeated(self, world, service, events, packed):
        archive = packed()
        for now in (5.0, 6.0):
            later = replace(service, clock=lambda moment=now: moment)
            later.registration.submit(MANIFEST_TEXT.encode(), archive, None, ADA, "key-1")
        assert [event.details.get("repeated", False) for event in events] == [False, True]
        assert {event.details["idempotency_key"] for event in events} == {"key-1"}

    @pytest.mark.parametrize(
        ("caller", "account", "code"), [(ADA, "speech", "C106"), (MALLORY, None, "C106"), (ADA, None, "C102")]
    )
    def test_a_submission_that_is_refused_is_recorded_with_its_code(
        self, service, events, tmp_path, caller, account, code
    ):
        (tmp_path / "model.zip").write_bytes(b"no zip")
        _attempt(service.registration.submit, MANIFEST_TEXT.encode(), tmp_path / "model.zip", account, caller)
        assert events.seen("actor", "action", "account", "result", "code") == [
            (caller.name, "submit", account or "", "refused", code)
        ]

    def test_what_breaks_is_recorded_as_failed(self, world, service, events, packed):
        world.vault.broken = True
        with pytest.raises(OSError, match="locked"):
            service.registration.submit(MANIFEST_TEXT.encode(), packed(), None, ADA)
        assert events.seen("result", "code") == [("failed", "S500")]

    def test_cancel_and_delete_are_recorded_whether_they_are_done_or_refused(self, service, events):
        _attempt(Deleting(service).delete, MODEL_ID, ADA)
        service.cancel(MODEL_ID, ADA)
        service.cancel(MODEL_ID, ADA)
        Deleting(service).delete(MODEL_ID, ROOT)
        assert events.seen("actor", "admin", "action", "run", "training", "account", "result", "code") == [
            ("ada", "False", "delete", MODEL_ID, MODEL_ID, "vision", "refused", "C108"),
            ("ada", "False", "cancel", MODEL_ID, MODEL_ID, "vision", "ok", ""),
            ("ada", "False", "cancel", MODEL_ID, MODEL_ID, "vision", "ok", ""),
            ("root", "True", "delete", MODEL_ID, MODEL_ID, "vision", "ok", ""),
        ]

    def test_reading_results_and_logs_is_recorded_and_looking_at_a_run_is_not(self, service, events):
        service.run(MODEL_ID, GRACE)
        service.runs(GRACE, 10, 0)
        service.results(MODEL_ID, GRACE)
        service.results(MODEL_ID, GRACE, "model/x.bin")
        service.run_of_log(MODEL_ID, GRACE)
        assert events.seen("action", "run", "account", "result") == [
            ("results.list", MODEL_ID, "vision", "ok"),
            ("results.read", MODEL_ID, "vision", "ok"),
            ("log.read", MODEL_ID, "vision", "ok"),
        ]
        assert events[1].details == {"name": "model/x.bin"}

    def test_who_asks_for_a_run_of_others_is_recorded_although_the_answer_is_that_there_is_none(self, service, events):
        for ask in (service.run, service.cancel, Deleting(service).delete, service.results, service.run_of_log):
            _attempt(ask, MODEL_ID, MALLORY)
        _attempt(service.run, "training-none00000", MALLORY)
        assert events.seen("action", "result", "code") == [
            (action, "refused", "C107") for action in ("run.read", "cancel", "delete", "results.list", "log.read")
        ]


class TestTheService:
    def test_changes_of_a_schedule_and_the_runs_it_starts_are_recorded(self, yard, events):
        yard.schedule(HOURLY)
        yard.retraining = replace(yard.retraining, audit=events.audit)
        yard.retraining.set(MODEL_ID, ScheduleState.PAUSED, ADA)
        yard.retraining.set(MODEL_ID, ScheduleState.ACTIVE, ADA)
        yard.now = MIDNIGHT + 3600
        yard.due()
        yard.retraining.set(MODEL_ID, ScheduleState.ENDED, ADA)
        _attempt(yard.retraining.set, MODEL_ID, ScheduleState.ACTIVE, ADA)
        _attempt(yard.retraining.settle, ADA)
        assert events.seen("actor", "action", "run", "result", "code") == [
            ("ada", "schedule.pause", "", "ok", ""),
            ("ada", "schedule.resume", "", "ok", ""),
            ("root", "schedule.start", "run-1", "ok", ""),
            ("ada", "schedule.end", "", "ok", ""),
            ("ada", "schedule.resume", "", "refused", "C111"),
            ("ada", "schedule.start", "", "refused", "C106"),
        ]
        assert {event.account for event in events[:-1]} == {"vision"}

    def test_what_the_janitor_removes_is_recorded_with_its_reason_and_a_dry_pass_is_not(self, events):
        for dry_run in (True, False):
            remove_orphans(
                [Remnant(RUN, "pod a", 0.0, lambda: None)], {RUN: Owner(UNKNOWN)}, 900.0, 300.0, dry_run, events.audit
            )
        assert events.seen("actor", "action", "run") == [("trainyard", "janitor.remove", MODEL_ID)]
        assert events[0].details == {"name": "pod a", "reason": "Airflow knows no such run"}

    def test_a_member_who_asks_for_what_is_the_janitors_is_recorded(self, events):
        _attempt(Owners(None, set, events.audit).of, ADA, [RUN])
        assert events.seen("actor", "action", "code") == [("ada", "owners.read", "C106")]

    def test_a_changed_quotas_file_is_recorded_for_each_account_that_differs(self, events):
        vision = replace(LIMITS.accounts["vision"], gpus=8, members=("ada", "mallory"))
        fresh = Account("robots", 2, ("eve",), 24)
        record_changes(events.audit, LIMITS, replace(LIMITS, accounts={"vision": vision, "robots": fresh}))
        assert events.seen("actor", "action", "account") == [
            ("trainyard", "account.change", name) for name in ("robots", "speech", "vision")
        ]
        assert [line_of(event) and dict(event.details) for event in events] == [
            {
                "members_added": "eve",
                "members_removed": "",
                "gpus": "none -> 2",
                "max_hours": "none -> 24",
                "custom_images": "none -> False",
                "connections": "none -> ()",
            },
            {
                "members_added": "",
                "members_removed": "grace",
                "gpus": "1 -> none",
                "max_hours": "0.5 -> none",
                "custom_images": "False -> none",
                "connections": "() -> none",
            },
            {"members_added": "mallory", "members_removed": "grace", "gpus": "4 -> 8"},
        ]
