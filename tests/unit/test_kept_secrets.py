"""Secrets that people keep: whose they are, who may change them, and which a submission is refused for."""

from __future__ import annotations

import pytest
from samples import LIMITS
from serviceworld import ADA, MALLORY, MANIFEST_TEXT, ROOT
from serviceworld import packed as packed  # a fixture
from serviceworld import world as world  # a fixture

from trainyard.core.audit.recording import Audit
from trainyard.core.secrets import MAX_OF_HOLDER, Secrets
from trainyard.domain.variables import Holder, KeptSecret
from trainyard.errors import TrainyardError

VALUE = "5b1c0ffee5b1c0ffee"


class Keeper:
    """Keeps secrets in memory."""

    def __init__(self):
        self.values = {}
        self.about = {}

    def keep(self, secret, value):
        self.values[secret.holder, secret.name] = value
        self.about[secret.holder, secret.name] = secret

    def kept(self, holders):
        return [secret for (holder, _), secret in self.about.items() if holder in holders]

    def is_kept(self, holder, name):
        return (holder, name) in self.values

    def forget(self, holder, name):
        self.about.pop((holder, name), None)
        return self.values.pop((holder, name), None) is not None


@pytest.fixture
def keeper():
    return Keeper()


@pytest.fixture
def events():
    return []


@pytest.fixture
def secrets(keeper, events):
    return Secrets(keeper, lambda: LIMITS, lambda: 1_700_000_000.0, Audit(events.append))


def test_a_secret_is_its_owners_alone_and_an_accounts_is_its_members(secrets, keeper):
    secrets.set("WANDB_API_KEY", VALUE, None, ADA)
    secrets.set("HF_TOKEN", VALUE[::-1], "vision", ADA)
    assert keeper.values == {
        (Holder.user("ada"), "WANDB_API_KEY"): VALUE,
        (Holder.account("vision"), "HF_TOKEN"): VALUE[::-1],
    }
    assert [one.name for one in secrets.list(ADA)] == ["WANDB_API_KEY", "HF_TOKEN"]
    assert [one.name for one in secrets.list(ROOT)] == ["HF_TOKEN"]
    assert [one.name for one in secrets.list(MALLORY)] == []


def test_a_user_and_an_account_of_one_name_have_nothing_in_common(secrets, keeper):
    from trainyard.core.accounts import Caller

    secrets.set("HF_TOKEN", VALUE, "vision", ADA)
    assert secrets.list(Caller("vision")) == []
    assert not keeper.is_kept(Holder.user("vision"), "HF_TOKEN")


@pytest.mark.parametrize("change", ["set", "remove"])
def test_nobody_changes_the_secrets_of_an_account_of_others(secrets, keeper, change):
    asked = {
        "set": lambda: secrets.set("HF_TOKEN", VALUE, "vision", MALLORY),
        "remove": lambda: secrets.remove("HF_TOKEN", "vision", MALLORY),
    }
    with pytest.raises(TrainyardError) as refused:
        asked[change]()
    assert refused.value.code.code == "C106"
    assert keeper.values == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_API_KEY", "short"),
        ("WANDB_API_KEY", " " * 20),
        ("WANDB_API_KEY", "a\0" * 10),
        ("WANDB_API_KEY", "x" * 40_000),
        ("TRAINYARD_SECRETS", VALUE),
        (VALUE, VALUE),
        ("A B", VALUE),
    ],
)
def test_what_cannot_be_kept_is_refused_and_repeated_nowhere(secrets, keeper, events, name, value):
    with pytest.raises(TrainyardError) as refused:
        secrets.set(name, value, None, ADA)
    assert refused.value.code.code == "C110"
    assert keeper.values == {}
    assert VALUE not in f"{refused.value} {refused.value.hint} {[event.as_dict() for event in events]}"


def test_what_is_done_is_recorded_without_the_value(secrets, events):
    secrets.set("WANDB_API_KEY", VALUE, None, ADA)
    secrets.remove("WANDB_API_KEY", None, ADA)
    assert [(event.action, event.details["name"], event.result) for event in events] == [
        ("secret.set", "WANDB_API_KEY", "ok"),
        ("secret.remove", "WANDB_API_KEY", "ok"),
    ]
    assert VALUE not in str([event.as_dict() for event in events])


def test_to_forget_what_is_not_kept_is_refused(secrets):
    with pytest.raises(TrainyardError, match="user ada has no such secret"):
        secrets.remove("WANDB_API_KEY", None, ADA)


def test_one_holder_has_so_many_and_may_still_replace_one(secrets):
    for number in range(MAX_OF_HOLDER):
        secrets.set(f"S{number}", VALUE, None, ADA)
    with pytest.raises(TrainyardError, match="100 secrets already"):
        secrets.set("ONE_MORE", VALUE, None, ADA)
    secrets.set("S7", VALUE[::-1], None, ADA)


class TestAtTheDoor:
    def _submit(self, world, packed, caller):
        manifest = MANIFEST_TEXT + "secrets: [WANDB_API_KEY, HF_TOKEN]\n"
        return world.service.registration.submit(manifest.encode(), packed(), "vision", caller)

    def _keeps(self, world, keeper, *holders):
        from dataclasses import replace

        world.service = replace(world.service, is_kept=keeper.is_kept)
        for holder, name in holders:
            keeper.keep(KeptSecret(name, holder, 0.0, "ada"), VALUE)

    def test_a_missing_secret_is_refused_by_name_with_its_line_and_how_to_keep_it(self, world, packed, keeper):
        self._keeps(world, keeper, (Holder.user("ada"), "HF_TOKEN"))
        with pytest.raises(TrainyardError) as refused:
            self._submit(world, packed, ADA)
        (problem,) = refused.value.problems
        assert (problem.code, problem.path, problem.line) == ("C116", "secrets[0]", MANIFEST_TEXT.count("\n") + 1)
        assert "WANDB_API_KEY" in problem.message
        assert "`trainyard secret set WANDB_API_KEY`" in problem.hint

    def test_own_secrets_and_those_of_the_account_are_taken(self, world, packed, keeper):
        self._keeps(world, keeper, (Holder.user("ada"), "HF_TOKEN"), (Holder.account("vision"), "WANDB_API_KEY"))
        assert self._submit(world, packed, ADA).spec.secrets == ("WANDB_API_KEY", "HF_TOKEN")

    def test_those_of_another_member_are_not(self, world, packed, keeper):
        both = [(Holder.user("ada"), name) for name in ("HF_TOKEN", "WANDB_API_KEY")]
        self._keeps(world, keeper, *both)
        with pytest.raises(TrainyardError) as refused:
            self._submit(world, packed, ROOT)
        assert len(refused.value.problems) == 2
