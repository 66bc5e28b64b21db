"""Budgets of accounts: what counts, who hears of it, once in a period, and over what may break off."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from samples import LIMITS

from trainyard.core.accounts import Caller
from trainyard.core.addressbook import AddressBook, Kept
from trainyard.core.budgets import Budgets
from trainyard.core.catalogue import Catalogue
from trainyard.core.notifier import Notifier
from trainyard.core.quota import Share
from trainyard.domain.budget import Budget, Per
from trainyard.domain.limits import Account, Limits
from trainyard.domain.notification import Address, Event
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.manifest.limits import load_limits
from trainyard.notify.outbox import Outbox

ROOT, ADA = Caller("root", admin=True), Caller("ada")
HOUR, DAY = 3600.0, 86400.0
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC).timestamp()  # a Wednesday
MONTH = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def world(tmp_path):
    there = SimpleNamespace(now=NOW, shares=[], budget=Budget(100), told=[])

    def limits():
        account = Account("vision", 4, ("ada",), 24, budget=there.budget)
        return Limits(LIMITS.frameworks, LIMITS.sizes, {"vision": account, "free": LIMITS.accounts["speech"]})

    def tell(account, reason, moment):
        there.told.append((account, reason))
        return 1

    there.use = Budgets(tmp_path / "budgets", limits, lambda _: there.shares, tell, lambda: there.now)
    there.account = lambda: limits().accounts["vision"]
    return there


def used(hours, run="training-a", ended=NOW, account="vision"):
    return Share(account, 1, gpu_seconds=hours * HOUR, started_at=ended - hours * HOUR, ended_at=ended, run=run)


class TestPeriods:
    @pytest.mark.parametrize(
        ("per", "since"), [(Per.DAY, (2026, 11, 18)), (Per.WEEK, (2026, 11, 16)), (Per.MONTH, (2026, 11, 1))]
    )
    def test_a_period_begins_with_the_calendars(self, per, since):
        assert Budget(1, per).since(NOW) == datetime(*since, tzinfo=UTC).timestamp()


class TestThresholds:
    @pytest.mark.parametrize(("hours", "said"), [(79, None), (80, "80 %"), (99.9, "80 %"), (100, "all"), (250, "all")])
    def test_most_and_all_of_a_budget_are_told(self, world, hours, said):
        world.shares = [used(hours)]
        assert world.use.look(ROOT) == (1 if said else 0)
        tells = f"account vision has used {said} of its budget: {hours:.1f} of 100 GPU hours of this month"
        assert [reason for _, reason in world.told] == ([tells] if said else [])

    def test_each_is_told_once_in_a_period_and_again_in_the_next(self, world):
        for hours, heard in ((80, 1), (85, 1), (100, 2), (130, 2)):
            world.shares = [used(hours)]
            world.use.look(ROOT)
            assert len(world.told) == heard
        world.now += 30 * DAY
        world.shares = [used(90, "training-b", world.now)]
        world.use.look(ROOT)
        assert len(world.told) == 3

    def test_a_budget_that_was_raised_is_told_of_anew(self, world):
        world.shares = [used(80)]
        world.use.look(ROOT)
        world.budget = Budget(200)
        world.use.look(ROOT)
        assert len(world.told) == 1
        world.shares = [used(170)]
        world.use.look(ROOT)
        assert len(world.told) == 2

    def test_only_the_accounts_own_runs_count(self, world):
        world.shares = [used(90, account="free")]
        assert world.use.look(ROOT) == 0


class TestLedger:
    def test_runs_that_are_forgotten_still_count(self, world):
        world.shares = [used(50)]
        world.use.look(ROOT)
        world.shares = [used(40, "training-b")]
        world.use.look(ROOT)
        assert (world.use.used(world.account()), len(world.told)) == (90, 1)

    def test_a_run_counts_once_however_often_it_is_looked_at(self, world):
        for hours in (10, 20, 20):
            world.shares = [used(hours)]
            world.use.look(ROOT)
        assert world.use.used(world.account()) == 20

    def test_of_a_run_that_began_before_only_what_lies_in_the_period_counts(self, world):
        world.shares = [used(20, ended=MONTH + 5 * HOUR)]
        world.use.look(ROOT)
        assert world.use.used(world.account()) == pytest.approx(5)

    def test_what_broke_off_before_it_was_noted_is_told_again(self, world):
        world.shares = [used(90)]
        kept = world.use.folder / "vision.json"
        world.use.look(ROOT)
        kept.write_text("{")
        world.use.look(ROOT)
        assert len(world.told) == 2

    def test_members_tell_nobody_and_accounts_without_a_budget_have_none(self, world):
        with pytest.raises(TrainyardError, match="only an admin"):
            world.use.look(ADA)
        assert world.use.used(LIMITS.accounts["speech"]) is None


class TestWhoHears:
    def test_the_accounts_addresses_hear_of_it_once_unless_they_want_other_events(self, tmp_path):
        outbox, book = Outbox(tmp_path / "outbox"), AddressBook.beside(Catalogue(tmp_path))
        vault = SimpleNamespace(keep_address=lambda *_: None)
        notifier = Notifier(outbox, book, lambda _: ("named",), str, lambda: NOW)
        account = Holder.account("vision")
        for name, events, every_run in (
            ("named", (), False),
            ("all", (), True),
            ("other", ("failed",), True),
            ("unnamed", (), False),
        ):
            book.keep(_kept(account, name, events, every_run), Address("https://x"), vault)
        for _ in range(2):
            notifier.tell_account("vision", Event.BUDGET, "account vision has used all", "november 80")
        found = outbox.waiting()
        assert sorted(each.shown.partition(" ")[0] for each in found) == ["all", "named"]
        assert found[0].message.title == "vision has used most of its budget, or all of it"
        assert "account vision has used all" in found[0].message.text


def _kept(holder, name, events, every_run):
    return Kept(holder, name, "https://x/****", events, every_run)


class TestQuotasYaml:
    ROW = "accounts:\n- {name: vision, gpus: 1, members: [ada], max_hours: 1, budget: %s}\n"

    def _load(self, tmp_path, budget):
        file = tmp_path / "quotas.yaml"
        file.write_text(self.ROW % budget)
        return load_limits(quotas=file).accounts["vision"].budget

    def test_a_budget_is_a_months_unless_it_says_otherwise(self, tmp_path):
        assert self._load(tmp_path, "{gpu_hours: 500}") == Budget(500, Per.MONTH)
        assert self._load(tmp_path, "{gpu_hours: 2.5, per: day}") == Budget(2.5, Per.DAY)

    @pytest.mark.parametrize(
        "budget", ["{}", "{gpu_hours: 0}", "{gpu_hours: 1, per: year}", "5", "{gpu_hours: 1, x: 1}"]
    )
    def test_what_cannot_be_meant_is_told_with_its_place(self, tmp_path, budget):
        with pytest.raises(TrainyardError, match=r"accounts\[0\]\.budget"):
            self._load(tmp_path, budget)
