"""A training that starts from an earlier one: its zip, and what the masks of its manifest stand for."""

from __future__ import annotations

import pytest
from serviceworld import ADA, GRACE, MALLORY, MANIFEST_TEXT, SECRET
from serviceworld import packed as packed  # a fixture
from serviceworld import world as world  # a fixture

from trainyard.core.runs import Run
from trainyard.domain.earlier import Earlier
from trainyard.domain.names import is_model_id
from trainyard.domain.notification import Address
from trainyard.domain.states import Phase
from trainyard.domain.training import StoreRef
from trainyard.errors import TrainyardError
from trainyard.manifest.masking import MASK


@pytest.fixture
def earlier(world, packed):
    """A training that has been registered by Ada, and its run."""
    made = world.service.registration.submit(MANIFEST_TEXT.encode(), packed(), "vision", ADA)
    run = Run(made.id, made.id, made.spec.name, made.account, "tensorflow 2.16", 1, Phase.DONE, made.submitted_at)
    world.history.runs[made.id] = run
    return made


def _start(world, earlier, text=None, account="vision", caller=GRACE, zip_path=None):
    manifest = (text or earlier.manifest).encode()
    submit_all = world.service.registration.submit_all
    return submit_all([("", manifest)], zip_path, account, caller, earlier=earlier)[0]


def _faults(submit, *arguments, **options):
    """Return what a submission is refused for."""
    with pytest.raises(TrainyardError) as refused:
        submit(*arguments, **options)
    return "\n".join(problem.message for problem in refused.value.problems)


def test_it_has_the_zip_and_the_credentials_of_the_earlier_one_and_belongs_to_who_asked(world, earlier):
    assert SECRET not in earlier.manifest
    made = _start(world, earlier, earlier.manifest.replace("tf-mnist", "tf-again"))
    assert (made.spec.name, made.owner, made.zip_sha256) == ("tf-again", "grace", earlier.zip_sha256)
    assert is_model_id(made.id)
    assert made.id != earlier.id
    assert world.vault.kept[made.id] == world.vault.kept[earlier.id]
    assert world.catalogue.zip_path(made.id).read_bytes() == world.catalogue.zip_path(earlier.id).read_bytes()
    assert SECRET not in made.manifest


def test_another_zip_takes_the_place_of_the_earlier_one(world, earlier, packed):
    made = _start(world, earlier, zip_path=packed(train="print('other')"))
    assert made.zip_sha256 != earlier.zip_sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bucket: training-data", "bucket: others-data"),
        ("bucket: training-results", "bucket: others-results"),
        ("https://objects.example.com", "https://objects.example.org"),
        ("bucket: training-data", "bucket: training-data\n    prefix: private/"),
    ],
)
def test_credentials_are_taken_for_the_very_same_store_alone(world, earlier, old, new):
    assert old in earlier.manifest
    faults = _faults(_start, world, earlier, earlier.manifest.replace(old, new))
    assert "is masked, and the store is not as in the earlier run" in faults


def test_they_are_not_taken_to_another_account(world, earlier):
    assert "aws_secret_access_key is not filled in." in _faults(_start, world, earlier, account="speech")


def test_half_of_the_credentials_is_none(world, earlier):
    text = earlier.manifest.replace(f"secret_access_key: {MASK}", "secret_access_key: anything12345")
    text = text.replace(f"secret_access_key: '{MASK}'", "secret_access_key: anything12345")
    assert "anything12345" in text
    assert "aws_access_key_id is masked" in _faults(_start, world, earlier, text)


def test_a_mask_without_an_earlier_run_is_not_filled_in(world, earlier, packed):
    submit = world.service.registration.submit
    assert "is not filled in" in _faults(submit, earlier.manifest.encode(), packed(), "vision", ADA)


def test_a_zip_that_is_gone_is_told(world, earlier):
    world.catalogue.zip_path(earlier.id).unlink()
    with pytest.raises(TrainyardError, match="is not kept any more") as refused:
        _start(world, earlier)
    assert refused.value.code.code == "C107"


def test_without_either_there_is_no_program(world):
    with pytest.raises(TrainyardError, match="no zip is given"):
        world.service.registration.submit_all([("", MANIFEST_TEXT.encode())], None, "vision", ADA)


def test_who_may_not_see_a_run_does_not_start_from_it(world, earlier):
    assert world.service.training_of(earlier.id, GRACE) == earlier
    with pytest.raises(TrainyardError) as refused:
        world.service.training_of(earlier.id, MALLORY)
    assert refused.value.code.code == "C107"


class TestAddresses:
    _SLACK, _OTHER = Address("slack://a/b/c"), Address("slack://d/e/f")

    def test_the_only_one_that_is_shown_so_is_meant(self):
        hook = Address("https://hooks.example.com/x?token=1", "s" * 16)
        assert Earlier(addresses=[hook, self._SLACK]).address("https://hooks.example.com/****") == hook

    def test_of_two_that_are_shown_alike_neither_is_guessed(self):
        assert Earlier(addresses=[self._SLACK, self._OTHER]).address("slack://****") is None
        assert Earlier(addresses=[self._SLACK, self._SLACK]).address("slack://****") == self._SLACK

    def test_a_masked_address_is_never_sent_to(self, world, packed):
        text = MANIFEST_TEXT + "notify: ['https://hooks.example.com/****']\n"
        submit = world.service.registration.submit
        assert _faults(submit, text.encode(), packed(), "vision", ADA) == "the address is masked."


def test_a_store_with_another_prefix_is_another_one():
    ref = StoreRef("s3", "data", "https://objects.example.com")
    assert Earlier([(ref, None)]).credentials(StoreRef("s3", "data", ref.endpoint, prefix="a/")) is None
