"""The DAG bundle that mirrors the catalogue."""

from __future__ import annotations

import os

import pytest
from late import Late
from samples import MODEL_ID, training

from trainyard.core.catalogue import Catalogue

pytestmark = pytest.mark.xdist_group("airflow")

bundles = Late("trainyard.airflow.bundle")
_OTHER = "training-Xz81mQ0aB"


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(tmp_path / "catalogue")


@pytest.fixture
def bundle(catalogue, tmp_path):
    made = bundles.TrainingBundle(name=f"trainings-{tmp_path.name}", catalogue=str(catalogue.folder))
    made.initialize()
    return made


def _files(bundle):
    return {path.name for path in bundle.path.iterdir()}


def test_a_catalogue_that_does_not_exist_yet_makes_no_files(bundle):
    bundle.refresh()
    assert _files(bundle) == set()


def test_every_training_becomes_a_file_of_its_own(bundle, catalogue):
    there = [training(MODEL_ID), training(_OTHER, name="another")]
    for one in there:
        catalogue.add(one)
    bundle.refresh()
    assert _files(bundle) == {f"{MODEL_ID}.py", f"{_OTHER}.py"}
    for one in there:
        assert (bundle.path / f"{one.id}.py").read_text("utf-8") == bundles.dag_file(one.id)


def test_a_new_training_leaves_the_files_of_the_others_alone(bundle, catalogue):
    catalogue.add(training(MODEL_ID))
    bundle.refresh()
    before = (bundle.path / f"{MODEL_ID}.py").stat()
    catalogue.add(training(_OTHER))
    bundle.refresh()
    after = (bundle.path / f"{MODEL_ID}.py").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_training_that_left_the_catalogue_loses_its_file(bundle, catalogue):
    for training_id in (MODEL_ID, _OTHER):
        catalogue.add(training(training_id))
    bundle.refresh()
    catalogue.remove(MODEL_ID)
    bundle.refresh()
    assert _files(bundle) == {f"{_OTHER}.py"}


def test_a_record_is_read_once_and_never_again(bundle, catalogue):
    catalogue.add(training())
    bundle.refresh()
    before = (bundle.path / f"{MODEL_ID}.py").read_text("utf-8")
    catalogue.record_path(MODEL_ID).write_text("this is no record any more")
    bundle.refresh()
    assert (bundle.path / f"{MODEL_ID}.py").read_text("utf-8") == before


def test_a_broken_record_is_told_and_spares_the_others(bundle, catalogue, caplog):
    catalogue.add(training(_OTHER))
    catalogue.record_path(MODEL_ID).write_text('{"id": "half')
    bundle.refresh()
    assert _files(bundle) == {f"{_OTHER}.py"}
    assert MODEL_ID in caplog.text


def test_a_worker_on_another_machine_has_the_files_as_soon_as_it_opens_the_bundle(catalogue, tmp_path):
    catalogue.add(training())
    there = bundles.TrainingBundle(name=f"elsewhere-{tmp_path.name}", catalogue=str(catalogue.folder))
    there.initialize()
    assert _files(there) == {f"{MODEL_ID}.py"}


def test_records_have_no_versions_to_keep_apart(bundle):
    assert bundle.get_current_version() is None
    assert bundle.supports_versioning is False


@pytest.fixture
def settled(bundle, catalogue):
    """A catalogue that has not changed for a while, and a bundle that knows all of it."""
    catalogue.add(training())
    os.utime(catalogue.folder, (0, 0))
    bundle.refresh()
    return bundle


def test_a_catalogue_that_has_not_changed_is_listed_again_only_after_a_long_while(settled):
    assert settled.refresh_interval > 60
    settled.refresh()
    assert settled.refresh_interval > 60


def test_a_new_training_asks_to_be_refreshed_at_once(settled, catalogue):
    catalogue.add(training(_OTHER))
    assert settled.refresh_interval == 0


def test_a_training_that_leaves_asks_to_be_refreshed_at_once(settled, catalogue):
    catalogue.remove(MODEL_ID)
    assert settled.refresh_interval == 0


def test_what_is_added_in_the_same_step_of_the_clock_as_a_listing_is_not_missed(bundle, catalogue):
    catalogue.add(training())
    bundle.refresh()
    before = catalogue.folder.stat()
    catalogue.add(training(_OTHER))
    os.utime(catalogue.folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert bundle.refresh_interval == 0


def test_a_bundle_that_has_listed_nothing_yet_asks_to_be_refreshed(catalogue, tmp_path):
    made = bundles.TrainingBundle(name=f"new-{tmp_path.name}", catalogue=str(catalogue.folder), refresh_interval=60)
    assert made.refresh_interval == 0
