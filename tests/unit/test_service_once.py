"""An idempotency key: the same submission is registered once, whatever dies and however many ask at once."""

from __future__ import annotations

import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from inbox_fakes import Death, Fate
from samples import LIMITS
from service_fakes import History, Vault
from serviceworld import MANIFEST_TEXT

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.deleting import Deleting
from trainyard.core.idempotency import claimed
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

_ADA, _ROOT = Caller("ada"), Caller("root", admin=True)


class _Mortal:
    """Passes everything on; its deeds are the steps that a process can die between."""

    def __init__(self, inner, fate, actions):
        self._inner, self._fate, self._actions = inner, fate, actions

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in self._actions:
            return found
        return lambda *arguments: self._fate.action(lambda: found(*arguments))


@pytest.fixture
def world(tmp_path):
    catalogue, vault, history = Catalogue(tmp_path / "catalogue"), Vault(), History()
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("train.py", "print('hello')")

    def service(fate=None):
        """A service as a fresh process has it; after a death nothing is tidied up."""
        fate = fate or Fate()
        return Service(
            catalogue=_Mortal(catalogue, fate, {"keep_zip", "add"}),
            vault=_Mortal(vault, fate, {"keep", "forget"}),
            history=history,
            limits=lambda: LIMITS,
            settings=read_settings({}),
            clock=lambda: 1_700_000_000.0,
            sync_pools=lambda limits: fate.action(lambda: None),
            forget_files=lambda run: None,
            results_of=lambda training: None,
            pod_waits=lambda run: "",
            transfer_of=lambda run: None,
        )

    return SimpleNamespace(service=service, catalogue=catalogue, vault=vault, history=history, archive=archive)


def _submit(world, key="drop-1", service=None, manifest=MANIFEST_TEXT, account=None, caller=_ADA):
    made = (service or world.service()).registration.submit(manifest.encode(), world.archive, account, caller, key)
    return made.id


def test_the_same_key_is_the_same_training(world):
    assert _submit(world) == _submit(world)
    (made,) = world.catalogue.ids()
    assert world.catalogue.get(made).origin == "drop-1"


def test_other_keys_and_other_accounts_have_trainings_of_their_own(world):
    ids = {_submit(world), _submit(world, "drop-2"), _submit(world, account="speech", caller=_ROOT)}
    assert world.catalogue.ids() == ids
    assert len(ids) == 3


def test_ten_requests_at_once_register_one_training(world):
    together = threading.Barrier(10)

    def ask(_):
        together.wait()
        return _submit(world)

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(ask, range(10)))
    assert answers == world.catalogue.ids() == set(world.vault.kept)
    assert len(answers) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(6))
def test_a_death_between_any_two_steps_leaves_one_training_after_the_next_try(world, at, after, monkeypatch):
    # What dies cannot tidy up after itself.
    monkeypatch.setattr(Catalogue, "remove", lambda *_: None)
    monkeypatch.setattr(Vault, "forget", lambda *_: None)
    try:
        first = _submit(world, service=world.service(Fate(at, after)))
    except Death:
        first = None
    monkeypatch.undo()
    again = _submit(world)
    assert first in (None, again)
    assert world.catalogue.ids() == set(world.vault.kept) == {again}
    assert world.catalogue.zip_path(again).read_bytes() == world.archive.read_bytes()


def test_a_death_before_the_answer_is_answered_even_if_it_would_be_refused_by_now(world):
    made = _submit(world)
    with claimed(world.catalogue.folder, "vision", "drop-1") as claim:
        assert (claim.ids, claim.done) == ((made,), True)
    assert _submit(world, manifest="no manifest at all") == made


def test_half_a_claim_is_none(world):
    world.catalogue.folder.mkdir()
    with claimed(world.catalogue.folder, "vision", "drop-1") as claim:
        claim.take(["training-000000000"])
    (file,) = world.catalogue.folder.glob("*.key")
    file.write_text("\nids training-0000")
    made = _submit(world)
    assert made == _submit(world)
    assert world.catalogue.ids() == {made}


def test_a_refused_submission_leaves_no_claim(world):
    with pytest.raises(TrainyardError):
        _submit(world, manifest="no manifest at all")
    assert [path.name for path in world.catalogue.folder.iterdir() if path.suffix != ".lock"] == []


def test_a_key_is_free_again_when_its_training_is_deleted(world):
    made = _submit(world)
    world.history.runs[made] = Run(
        made, made, "x", "vision", "f", 1, Phase.DONE, 0.0, finished_at=1.0, outcome=Outcome()
    )
    Deleting(world.service()).delete(made, _ADA, now=True)
    assert [
        path.name for path in world.catalogue.folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")
    ] == []
    assert _submit(world) != made


def test_several_runs_of_one_key_are_completed_after_a_death(world):
    manifests = [("a.yml", MANIFEST_TEXT.encode()), ("b.yml", MANIFEST_TEXT.encode())]

    def ask():
        submit_all = world.service().registration.submit_all
        return [each.id for each in submit_all(manifests, world.archive, None, _ADA, origin="k")]

    first = ask()
    (file,) = world.catalogue.folder.glob("*.key")
    file.write_text(file.read_text().replace("done", ""))
    world.catalogue.remove(first[1])
    world.vault.forget(first[1])
    assert ask() == first
    assert world.catalogue.ids() == set(first) == set(world.vault.kept)


def test_a_key_that_died_with_another_number_of_runs_is_refused(world):
    with claimed(world.catalogue.folder, "vision", "drop-1") as claim:
        claim.take(["training-000000000", "training-000000001"])
    with pytest.raises(TrainyardError, match="another submission") as refusal:
        _submit(world)
    assert refusal.value.code.code == "C108"
