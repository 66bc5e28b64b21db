"""Who is notified of what, whose addresses may be used by whom, and that nothing is told twice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from samples import LIMITS, MODEL_ID, RUN, training

from trainyard.core.accounts import Caller
from trainyard.core.addressbook import AddressBook, address_connection
from trainyard.core.audit.recording import NO_AUDIT
from trainyard.core.catalogue import Catalogue
from trainyard.core.notifications import Notifications
from trainyard.core.notifier import Notifier
from trainyard.core.runs import Run
from trainyard.core.search.trials import Trial, TrialState
from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.notification import Event, Recipient
from trainyard.domain.outcome import Outcome
from trainyard.domain.search import Choices, Goal, SearchSpec
from trainyard.domain.states import Phase
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.notify.outbox import Outbox

NOW = 1_700_000_000.0
ADA, GRACE, EVE, ROOT = Caller("ada"), Caller("grace"), Caller("eve"), Caller("root", admin=True)
HOOK = "https://hooks.example.com/T0kenThatNobodySees"
FAILED = Outcome("C201", "the program failed", "read its log", 3, started_at=NOW, finished_at=NOW + 60)
DONE = Outcome(metrics={"loss": {"last": 0.5}}, started_at=NOW, finished_at=NOW + 60)


SEARCH = SearchSpec("acc", Goal.MAXIMIZE, 10, {"x": Choices((1, 2))})
BEST = Trial(3, {}, TrialState.COMPLETED, model_id="training-best", value=0.25)


class Vault(dict):
    def keep_address(self, connection, address):
        self[connection] = address

    def forget_address(self, connection):
        self.pop(connection, None)


@pytest.fixture
def world(tmp_path):
    there = SimpleNamespace(now=NOW, vault=Vault(), named={}, going=[])
    catalogue = Catalogue(tmp_path)
    there.outbox, there.book = Outbox(tmp_path / "outbox"), AddressBook.beside(catalogue)
    there.notifier = Notifier(
        there.outbox,
        there.book,
        lambda account: there.named.get(account, ()),
        lambda model_id: f"http://x/trainyard/runs/{model_id}",
        lambda: there.now,
    )
    there.use = Notifications(
        book=there.book,
        vault=there.vault,
        outbox=there.outbox,
        limits=lambda: LIMITS,
        addresses=AddressPolicy(),
        sends_mail=False,
        clock=lambda: there.now,
        audit=NO_AUDIT,
        notifier=there.notifier,
        trainings=lambda _: training(notify=(Recipient(shown="https://a/****"),)),
        going=lambda: there.going,
        waiting_seconds=3600,
    )
    there.written = lambda: sorted((each.to, each.message.event) for each in there.outbox.waiting())
    return there


def notifying(*recipients, **changes):
    return training(notify=recipients, **changes)


class TestWhoIsTold:
    def test_an_address_of_the_manifests_own_is_told_once_of_every_end(self, world):
        made = notifying(Recipient(shown="https://a/****"))
        assert world.notifier.ended(made, RUN, FAILED) == 1
        assert world.notifier.ended(made, RUN, FAILED) == 0
        assert world.written() == [(f"training:{MODEL_ID}:0", "ended")]
        again = replace(FAILED, finished_at=NOW + 999)
        assert world.notifier.ended(made, RUN, again) == 1, "a run that was cleared and failed again"

    def test_who_wants_failures_alone_hears_of_no_success_and_no_cancel(self, world):
        made = notifying(Recipient(shown="x", events=("failed",)))
        world.notifier.ended(made, RUN, DONE)
        world.notifier.ended(made, RUN, Outcome("C204", "canceled by ada"))
        assert world.written() == []
        world.notifier.ended(made, RUN, FAILED)
        assert world.written() == [(f"training:{MODEL_ID}:0", "failed")]

    def test_the_message_says_what_became_of_the_run(self, world):
        world.notifier.ended(notifying(Recipient(shown="x")), RUN, DONE)
        (delivery,) = world.outbox.waiting()
        message = delivery.message
        assert (message.name, message.state, message.duration_seconds) == ("tf-mnist", "completed", 60)
        assert message.metrics == {"loss": 0.5}
        assert message.page == f"http://x/trainyard/runs/{MODEL_ID}"

    def test_a_search_tells_of_its_end_and_of_trials_that_failed_alone(self, world):
        made = notifying(Recipient(shown="x"), Recipient(shown="y", events=("failed",)), search=SEARCH)
        world.notifier.ended(made, RUN, DONE)
        assert world.written() == []
        world.notifier.ended(made, RUN, FAILED)
        assert world.written() == [(f"training:{MODEL_ID}:1", "failed")]
        world.notifier.search_ended(made, "all 20 trials have ended", BEST)
        reasons = {each.to: each.message.reason for each in world.outbox.waiting()}
        said = "the search has ended: all 20 trials have ended; the best trial is training-best with 0.25"
        assert reasons[f"training:{MODEL_ID}:0"] == said

    def test_a_name_means_the_owners_address_before_the_accounts(self, world):
        world.use.set(ROOT, "team", HOOK, account="vision")
        made = notifying(Recipient(name="team"))
        world.notifier.ended(made, RUN, DONE)
        assert world.written() == [(f"kept:{address_connection(Holder.account('vision'), 'team')}", "ended")]
        world.use.set(ADA, "team", HOOK)
        world.notifier.ended(made, RUN, FAILED)
        assert (f"kept:{address_connection(Holder.user('ada'), 'team')}", "ended") in world.written()

    def test_every_run_and_the_names_of_quotas_yaml_need_no_manifest(self, world):
        world.use.set(ADA, "me", HOOK, every_run=True)
        world.use.set(GRACE, "me", HOOK, every_run=True)
        world.use.set(ROOT, "team", HOOK, account="vision", events=["failed"])
        world.use.set(ROOT, "other", HOOK, account="vision")
        world.named["vision"] = ("team",)
        world.notifier.ended(training(), RUN, FAILED)
        mine, team = address_connection(Holder.user("ada"), "me"), address_connection(Holder.account("vision"), "team")
        assert world.written() == sorted([(f"kept:{mine}", "ended"), (f"kept:{team}", "failed")])
        assert not world.notifier.hears(training(account="speech", owner="eve"))

    def test_a_name_that_is_kept_no_more_fails_nothing(self, world):
        assert world.notifier.ended(notifying(Recipient(name="gone")), RUN, DONE) == 0

    def test_a_run_that_waits_too_long_is_told_of_once(self, world):
        run = Run(MODEL_ID, MODEL_ID, "n", "vision", "f", 1, Phase.WAITING_FOR_GPU, submitted_at=NOW)
        world.going = [run, replace(run, phase=Phase.TRAINING)]
        assert world.use.notify_waiting(ROOT) == 0
        world.now += 3601
        assert world.use.notify_waiting(ROOT) == 1
        assert world.use.notify_waiting(ROOT) == 0
        assert world.outbox.waiting()[0].message.reason == "waiting for a GPU of the account, for 60 minutes"
        with pytest.raises(TrainyardError, match="only an admin"):
            world.use.notify_waiting(ADA)


class TestKeptAddresses:
    def test_a_webhook_gets_a_secret_that_is_shown_once_and_a_chat_none(self, world):
        kept, secret = world.use.set(ADA, "phone", HOOK)
        assert len(secret) > 30
        assert world.vault[kept.connection].secret == secret
        assert world.use.set(ADA, "phone", HOOK, secret="x" * 16)[1] == ""
        assert world.use.set(ADA, "chat", "slack://a/b/c")[1] == ""
        assert [each.name for each in world.use.all(ADA)] == ["chat", "phone"]

    def test_nothing_of_an_address_lies_in_the_clear(self, world, tmp_path):
        world.use.set(ADA, "phone", HOOK, secret="T0kenThatNobodySees2")
        world.use.test(ADA, "phone")
        texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
        assert texts
        assert "T0kenThatNobodySees" not in "".join(texts)

    @pytest.mark.parametrize(
        ("name", "address", "more"),
        [
            ("../x", HOOK, {}),
            ("", HOOK, {}),
            ("x" * 64, HOOK, {}),
            ("x", "https://127.0.0.1/x", {}),
            ("x", "mailto:a@b.de", {}),
            ("x", HOOK, {"secret": "short"}),
            ("x", HOOK, {"events": ["everything"]}),
        ],
    )
    def test_what_cannot_be_kept_is_refused_and_nothing_stays(self, world, name, address, more):
        with pytest.raises(TrainyardError) as refusal:
            world.use.set(ADA, name, address, **more)
        assert refusal.value.code.code == "C110"
        assert world.use.all(ADA) == []
        assert world.vault == {}

    def test_people_see_and_use_their_own_and_those_of_their_accounts(self, world):
        world.use.set(ADA, "phone", HOOK)
        world.use.set(ROOT, "team", HOOK, account="vision")
        assert [each.name for each in world.use.all(GRACE)] == ["team"]
        assert world.use.all(EVE) == []
        for action in (world.use.test, world.use.remove):
            with pytest.raises(TrainyardError, match="no address of this name"):
                action(GRACE, "phone")
            with pytest.raises(TrainyardError, match="only an admin"):
                action(GRACE, "team", "vision")
        assert world.book.names("grace", "vision") == {"team"}
        assert world.book.names("grace", "speech") == set()

    def test_what_is_removed_leaves_no_secret(self, world):
        world.use.set(ADA, "phone", HOOK)
        world.use.remove(ADA, "phone")
        assert world.vault == {}

    def test_names_of_people_that_are_paths_meet_nobody_elses(self, world):
        world.use.set(Caller("../ada"), "phone", HOOK)
        assert world.use.all(ADA) == []


class TestUndelivered:
    def test_people_see_and_revive_their_own_alone(self, world):
        world.notifier.ended(notifying(Recipient(shown="x")), RUN, DONE)
        (delivery,) = world.outbox.waiting()
        assert world.use.state_of(ADA, delivery.id) == ("waiting", "")
        world.outbox.retry_later(delivery, "it answers 500", NOW, for_good=True)
        assert world.use.state_of(GRACE, delivery.id) == ("dead", "it answers 500"), "she is of the account"
        assert world.use.undelivered(EVE) == ([], [])
        with pytest.raises(TrainyardError):
            world.use.state_of(EVE, delivery.id)
        with pytest.raises(TrainyardError):
            world.use.state_of(ROOT, "../../etc/passwd")
        assert world.use.retry(EVE) == 0
        assert world.use.retry(ADA) == 1
        assert world.outbox.dead() == []
        world.outbox.arrived(world.outbox.waiting()[0])
        assert world.use.state_of(ADA, delivery.id)[0] == "arrived"


def test_events_are_told_without_a_run_too(world):
    made = notifying(Recipient(shown="x"))
    world.notifier.skipped(made, "skipped: the service did not run when it was due", NOW)
    (delivery,) = world.outbox.waiting()
    assert (delivery.message.event, delivery.message.model_id) == (Event.SKIPPED, MODEL_ID)
