"""The use cases at the front door, over small fakes of the service's ports and the real catalogue."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import yaml
from samples import LIMITS, MODEL_ID, RUN, training
from serviceworld import ADA, GRACE, MALLORY, MANIFEST_TEXT, ROOT, SECRET
from serviceworld import packed as packed  # a fixture
from serviceworld import world as world  # a fixture

from trainyard.core.accounts import account_for
from trainyard.core.catalogue import Training
from trainyard.core.deleting import Deleting
from trainyard.core.runs import Run
from trainyard.core.schedules import Entry
from trainyard.core.starts import Start
from trainyard.domain.codeversion import CodeVersion
from trainyard.domain.outcome import Outcome
from trainyard.domain.schedule import Progress, Schedule
from trainyard.domain.states import Phase, State
from trainyard.errors import TrainyardError


def _submit(world, zip_path, manifest=MANIFEST_TEXT, account=None, caller=ADA):
    return world.service.registration.submit(manifest.encode(), zip_path, account, caller)


def _refused(world, *arguments, **options):
    """Return the refusal of a submission, having made sure that nothing came of it."""
    with pytest.raises(TrainyardError) as refusal:
        _submit(world, *arguments, **options)
    assert not world.catalogue.folder.exists()
    assert world.vault.kept == {}
    assert world.pools == []
    return refusal.value


class TestSubmitting:
    def test_a_submission_becomes_a_training_in_the_catalogue(self, world, packed):
        zip_path = packed()
        made = _submit(world, zip_path)
        assert world.catalogue.get(made.id) == made
        assert (made.account, made.owner, made.submitted_at) == ("vision", "ada", 1_700_000_000.0)
        assert (made.spec.name, str(made.spec.author)) == ("tf-mnist", "Ada Lovelace <ada@example.com>")
        assert (made.plan.gpus, made.plan.pool) == (1, "gpus-vision")
        assert world.catalogue.zip_path(made.id).read_bytes() == zip_path.read_bytes()
        assert made.zip_sha256 == hashlib.sha256(zip_path.read_bytes()).hexdigest()

    def test_the_credentials_are_kept_in_the_vault_and_nowhere_else(self, world, packed):
        made = _submit(world, packed())
        assert [one.secret for one in world.vault.kept[made.id]] == [SECRET, SECRET]
        assert SECRET not in world.catalogue.record_path(made.id).read_text("utf-8")
        assert SECRET not in repr(made)
        assert "aws_secret_access_key" in made.manifest

    def test_the_commit_is_kept_without_the_credentials_that_its_diff_shows(self, world, packed):
        code = CodeVersion("a" * 40, "main", 1, f"-secret: {SECRET}\n-id: AKIA5B1C0FFEE\n+secret: none\n")
        manifests = [("job.yaml", MANIFEST_TEXT.encode())]
        (made,) = world.service.registration.submit_all(manifests, packed(), None, ADA, code=code)
        assert made.code == replace(code, diff="-secret: ****\n-id: ****\n+secret: none\n")
        assert world.catalogue.get(made.id) == made == Training.from_dict(made.as_dict())

    def test_a_schedule_lives_from_the_registration_on(self, world, packed):
        made = _submit(world, packed(), MANIFEST_TEXT + "schedule: {cron: 0 3 * * *, timezone: Europe/Berlin}\n")
        assert str(world.service.schedules.get(made.id).schedule) == "0 3 * * * Europe/Berlin"
        assert world.service.schedules.lives(made.id, made.submitted_at)
        assert world.catalogue.get(made.id) == made
        assert _submit(world, packed()).id not in world.service.schedules.ids()

    def test_a_training_that_cannot_be_registered_leaves_no_schedule(self, world, packed):
        world.vault.broken = True
        with pytest.raises(OSError, match="locked"):
            _submit(world, packed(), MANIFEST_TEXT + "schedule: '@daily'\n")
        assert world.service.schedules.ids() == set()

    def test_the_same_submission_twice_is_two_trainings(self, world, packed):
        zip_path = packed()
        assert _submit(world, zip_path).id != _submit(world, zip_path).id
        assert len(world.catalogue.ids()) == 2

    def test_the_accounts_pools_are_there_before_the_training_is(self, world, packed):
        _submit(world, packed())
        assert world.pools == [LIMITS]

    def test_everything_that_is_wrong_is_told_at_once(self, world, packed):
        manifest = MANIFEST_TEXT.replace("resource: small", "resource: large")
        error = _refused(world, packed(other="x"), manifest=manifest, account="speech", caller=GRACE)
        assert {problem.code for problem in error.problems} == {"C102", "C104"}

    def test_faults_of_manifest_and_zip_are_told_together(self, world, tmp_path):
        no_zip = tmp_path / "model.zip"
        no_zip.write_text("this is no zip")
        error = _refused(world, no_zip, manifest=MANIFEST_TEXT.replace("bucket: training-data", "bucket: ''"))
        assert {problem.code for problem in error.problems} == {"C101", "C102"}

    def test_more_gpus_than_the_account_owns_are_refused_at_the_door(self, world, packed):
        manifest = MANIFEST_TEXT.replace("resource: small", "resource: large")
        error = _refused(world, packed(), manifest=manifest, account="speech", caller=GRACE)
        (problem,) = error.problems
        assert (error.code.code, problem.code) == ("C104", "C104")
        assert "account speech owns 1" in problem.message
        assert problem.line == 8

    def test_a_program_that_is_not_in_the_zip_is_refused(self, world, packed):
        error = _refused(world, packed(trian="x"))
        assert error.code.code == "C102"
        assert "train.py" in str(error.problems[0])

    def test_a_manifest_is_parsed_once(self, world, packed, monkeypatch):
        parsed, parse = [], yaml.parse
        monkeypatch.setattr("yaml.parse", lambda text, **options: parsed.append(text) or parse(text, **options))
        training = _submit(world, packed())
        assert "****" in training.manifest
        assert parsed.count(MANIFEST_TEXT) == 1

    def test_a_manifest_larger_than_allowed_is_refused(self, world, packed):
        error = _refused(world, packed(), manifest=MANIFEST_TEXT + "#" * 1024**2)
        assert error.fault == "client"

    def test_a_fault_of_the_service_is_not_told_as_the_submitters(self, world, packed):
        def no_limits():
            raise TrainyardError("S500", "sizes.yaml cannot be used", "Fix it.")

        world.service = replace(world.service, limits=no_limits)
        assert _refused(world, packed()).code.code == "S500"

    def test_a_check_that_fails_by_the_services_fault_is_told_as_that(self, world, packed, monkeypatch):
        def broken(*arguments, **_):
            raise TrainyardError("S500", "the schema is missing", "Install it again.")

        monkeypatch.setattr("trainyard.manifest.submission.examine_manifest", broken)
        error = _refused(world, packed(trian="x"))
        assert (error.code.code, error.message) == ("S500", "the schema is missing")

    def test_a_secret_is_in_no_refusal(self, world, packed):
        manifest = MANIFEST_TEXT.replace("source:", "souce:").replace("aws_secret_access_key", "aws_secret_acces_key")
        error = _refused(world, packed(), manifest=manifest)
        assert SECRET not in str(error.as_dict())

    def test_a_submission_that_could_not_be_kept_leaves_nothing_behind(self, world, packed):
        world.vault.broken = True
        with pytest.raises(OSError, match="locked"):
            _submit(world, packed())
        assert list(world.catalogue.folder.iterdir()) == []
        assert world.vault.kept == {}

    def test_a_training_that_could_not_be_registered_leaves_no_credentials_behind(self, world, packed, monkeypatch):
        def full(*_):
            raise OSError("no space left on device")

        monkeypatch.setattr(world.catalogue, "add", full)
        with pytest.raises(OSError, match="no space"):
            _submit(world, packed())
        assert world.vault.kept == {}
        assert list(world.catalogue.folder.iterdir()) == []


class TestAccounts:
    def test_who_names_no_account_pays_with_their_first(self):
        assert account_for(GRACE, None, LIMITS).name == "vision"

    def test_a_member_may_use_each_of_their_accounts(self):
        assert account_for(GRACE, "speech", LIMITS).name == "speech"

    def test_an_account_of_others_is_refused_with_the_callers_own(self):
        with pytest.raises(TrainyardError, match="ada is no member of an account speech") as refusal:
            account_for(ADA, "speech", LIMITS)
        assert (refusal.value.code.code, refusal.value.hint) == ("C106", "Use one of vision.")

    def test_an_account_of_others_and_one_that_does_not_exist_are_refused_alike(self):
        with pytest.raises(TrainyardError) as others:
            account_for(ADA, "speech", LIMITS)
        with pytest.raises(TrainyardError) as orphaned:
            account_for(ADA, "nobody", LIMITS)
        assert others.value.message.replace("speech", "nobody") == orphaned.value.message

    def test_who_is_a_member_of_no_account_cannot_submit(self, world, packed):
        assert _refused(world, packed(), caller=MALLORY).code.code == "C106"

    def test_an_admin_may_use_every_account(self):
        assert account_for(ROOT, "speech", LIMITS).name == "speech"
        assert account_for(ROOT, None, LIMITS).name == "vision"

    def test_an_admin_is_told_of_an_account_that_does_not_exist(self):
        with pytest.raises(TrainyardError, match="nobody") as refusal:
            account_for(ROOT, "nobody", LIMITS)
        assert refusal.value.hint == "Use one of vision, speech."


@pytest.fixture
def going(world):
    """A run of the speech account that is training."""
    there = training(MODEL_ID, account="speech")
    world.catalogue.add(there)
    world.vault.kept[MODEL_ID] = ("data", "results")
    run = Run(MODEL_ID, MODEL_ID, "tf-mnist", "speech", "tensorflow 2.16", 1, Phase.TRAINING, there.submitted_at)
    world.history.runs[MODEL_ID] = run
    return run


@pytest.fixture
def ended(world, going):
    run = replace(going, phase=Phase.DONE, outcome=Outcome())
    world.history.runs[MODEL_ID] = run
    return run


class TestLooking:
    def test_a_member_sees_the_runs_of_their_accounts(self, world, going):
        assert world.service.runs(GRACE, 10, 0) == ([going], 1)
        assert world.service.run(MODEL_ID, GRACE) == going

    def test_who_looks_at_a_run_that_was_asked_for_and_not_made_has_it_made(self, world, going):
        made = []
        service = replace(world.service, make_run=made.append)
        start = world.catalogue.starts.add(Start(MODEL_ID, MODEL_ID, "grace", 1.0))
        with pytest.raises(TrainyardError):
            service.run(MODEL_ID, MALLORY)
        assert made == []
        service.run(MODEL_ID, GRACE)
        assert made == [start]
        world.catalogue.starts.settle(MODEL_ID)
        service.run(MODEL_ID, GRACE)
        assert made == [start]

    @pytest.mark.parametrize("caller", [ADA, MALLORY])
    def test_others_do_not(self, world, going, caller):
        assert world.service.runs(caller, 10, 0) == ([], 0)
        with pytest.raises(TrainyardError) as refusal:
            world.service.run(MODEL_ID, caller)
        assert refusal.value.code.code == "C107"

    def test_a_run_of_others_and_one_that_does_not_exist_are_refused_alike(self, world, going):
        with pytest.raises(TrainyardError) as others:
            world.service.run(MODEL_ID, ADA)
        with pytest.raises(TrainyardError) as orphaned:
            world.service.run("training-000000000", ADA)
        assert others.value.message.replace(MODEL_ID, "training-000000000") == orphaned.value.message
        assert others.value.hint == orphaned.value.hint

    def test_an_admin_sees_every_run(self, world, going):
        assert world.service.runs(ROOT, 10, 0) == ([going], 1)
        assert world.service.run(MODEL_ID, ROOT) == going

    def test_how_far_data_has_been_moved_is_told_while_a_run_goes(self, world, going):
        assert world.service.transfer(going) == {"doing": f"downloading for {RUN}"}
        assert world.service.transfer(replace(going, phase=Phase.DONE, outcome=Outcome())) is None


class TestCanceling:
    def test_a_going_run_is_stopped_in_the_name_of_who_asked(self, world, going):
        canceled = world.service.cancel(MODEL_ID, GRACE)
        assert canceled.state is State.CANCELED
        assert world.history.canceled_by == {MODEL_ID: "grace"}

    def test_a_run_that_has_ended_cannot_be_canceled(self, world, ended):
        with pytest.raises(TrainyardError, match="has ended already: completed") as refusal:
            world.service.cancel(MODEL_ID, GRACE)
        assert refusal.value.code.code == "C108"
        assert world.history.canceled_by == {}

    def test_a_run_that_was_canceled_may_be_canceled_again_which_changes_nothing(self, world, going):
        canceled = world.service.cancel(MODEL_ID, GRACE)
        assert world.service.cancel(MODEL_ID, GRACE) == canceled
        assert world.history.canceled_by == {MODEL_ID: "grace"}

    def test_nobody_cancels_a_run_of_others(self, world, going):
        with pytest.raises(TrainyardError) as refusal:
            world.service.cancel(MODEL_ID, ADA)
        assert refusal.value.code.code == "C107"
        assert world.history.canceled_by == {}


class TestDeleting:
    def test_a_run_that_is_going_cannot_be_deleted(self, world, going):
        with pytest.raises(TrainyardError, match="still going: training") as refusal:
            Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert refusal.value.code.code == "C108"
        assert world.history.runs
        assert world.files_forgotten == []

    def test_the_last_run_takes_its_training_along(self, world, ended):
        Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert world.history.runs == {}
        assert world.catalogue.ids() == set()
        assert world.vault.kept == {}
        assert world.files_forgotten == [RUN]

    def test_a_training_with_other_runs_stays(self, world, ended):
        world.history.runs["training-again0000"] = replace(ended, model_id="training-again0000")
        Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert world.catalogue.ids() == {MODEL_ID}
        assert world.vault.kept
        assert world.files_forgotten == [RUN]

    def test_the_only_run_of_a_training_with_a_schedule_stays_until_that_has_ended(self, world, ended):
        hourly = Entry(MODEL_ID, Schedule(cron="0 * * * *"), Progress(0.0))
        world.service.schedules.keep(hourly)
        with pytest.raises(TrainyardError, match="the only run of a training with a schedule") as refusal:
            Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert (refusal.value.code.code, f"trainyard unschedule {MODEL_ID}" in refusal.value.hint) == ("C111", True)
        assert (world.catalogue.ids(), set(world.vault.kept), set(world.history.runs)) == ({MODEL_ID},) * 3
        world.service.schedules.keep(hourly.with_progress(Progress(0.0, ended=True)))
        Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert world.service.schedules.ids() == set()

    def test_an_older_run_of_a_training_with_a_schedule_can_go(self, world, ended):
        world.service.schedules.keep(Entry(MODEL_ID, Schedule(cron="0 * * * *"), Progress(0.0)))
        world.history.runs["training-again0000"] = replace(ended, model_id="training-again0000")
        Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert world.service.schedules.ids() == {MODEL_ID}

    def test_a_run_takes_along_what_was_asked_for_and_the_training_that_of_all_its_runs(self, world, ended):
        for model_id in ("training-again0000", "training-other0000"):
            world.catalogue.starts.add(Start(model_id, MODEL_ID, "grace", 1.0))
        world.history.runs["training-again0000"] = replace(ended, model_id="training-again0000")
        Deleting(world.service).delete("training-again0000", GRACE, now=True)
        assert world.catalogue.starts.all().keys() == {"training-other0000"}
        Deleting(world.service).delete(MODEL_ID, GRACE, now=True)
        assert world.catalogue.starts.all() == {}

    def test_nobody_deletes_a_run_of_others(self, world, ended):
        with pytest.raises(TrainyardError) as refusal:
            Deleting(world.service).delete(MODEL_ID, ADA)
        assert refusal.value.code.code == "C107"
        assert world.history.runs


class TestRuns:
    @pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.DONE])
    def test_a_run_that_is_going_has_the_state_of_its_phase(self, going, phase):
        assert replace(going, phase=phase).state is phase.state

    @pytest.mark.parametrize("outcome", [Outcome(), Outcome("C201"), Outcome("C204")])
    def test_a_run_that_is_done_has_the_state_of_its_outcome(self, going, outcome):
        assert replace(going, phase=Phase.DONE, outcome=outcome).state is outcome.state
