"""The catalogue: a record and a zip for every registered training."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import pytest
from samples import MODEL_ID, training

from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.remembered import Remembered
from trainyard.domain.codeversion import CodeVersion


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(tmp_path / "catalogue")


@pytest.fixture
def zip_file(tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"PK a zip")
    return path


def test_a_catalogue_that_does_not_exist_yet_is_empty(catalogue):
    assert catalogue.ids() == set()
    assert catalogue.get(MODEL_ID) is None


def test_a_training_comes_back_as_it_was_registered(catalogue):
    there = training(description="Größe 大\n{{ ds }}", warnings=("version looks odd",))
    catalogue.add(there)
    assert catalogue.get(MODEL_ID) == there
    assert catalogue.ids() == {MODEL_ID}


def test_what_is_read_back_by_another_process_is_the_same(catalogue):
    there = training()
    catalogue.add(there)
    assert Training.from_dict(json.loads(catalogue.record_path(MODEL_ID).read_text("utf-8"))) == there


def test_a_kept_zip_does_not_register_the_training(catalogue, zip_file):
    catalogue.keep_zip(MODEL_ID, zip_file)
    assert catalogue.zip_path(MODEL_ID).read_bytes() == b"PK a zip"
    assert catalogue.ids() == set()


def test_files_that_are_still_being_written_are_not_seen(catalogue):
    catalogue.add(training())
    (catalogue.folder / f".{MODEL_ID[:-1]}X.json").write_text("{")
    assert catalogue.ids() == {MODEL_ID}


def test_nothing_half_written_stays_beside_a_training(catalogue, zip_file):
    catalogue.keep_zip(MODEL_ID, zip_file)
    catalogue.add(training())
    assert {path.name for path in catalogue.folder.iterdir()} == {f"{MODEL_ID}.json", f"{MODEL_ID}.zip"}


def test_a_removed_training_is_forgotten_with_its_zip(catalogue, zip_file):
    catalogue.keep_zip(MODEL_ID, zip_file)
    catalogue.add(training())
    assert catalogue.get(MODEL_ID)
    catalogue.remove(MODEL_ID)
    assert catalogue.get(MODEL_ID) is None
    assert list(catalogue.folder.iterdir()) == []


def test_removing_what_is_not_there_is_fine(catalogue):
    catalogue.remove(MODEL_ID)


def test_a_training_that_another_process_removed_is_not_remembered(catalogue):
    catalogue.add(training())
    assert catalogue.get(MODEL_ID)
    catalogue.record_path(MODEL_ID).unlink()
    assert catalogue.get(MODEL_ID) is None


def test_all_trainings_are_those_of_the_listing_whoever_removed_the_others(catalogue):
    ids = [f"training-{number:09}" for number in range(3)]
    catalogue.add(*map(training, ids))
    (catalogue.folder / "training-broken000.json").write_text("{}")
    assert sorted(record.id for record in catalogue.trainings()) == ids
    catalogue.record_path(ids[0]).unlink()
    catalogue.remove(ids[1])
    assert [record.id for record in catalogue.trainings()] == ids[2:]


def test_of_an_empty_catalogue_there_are_no_trainings(catalogue):
    assert catalogue.trainings() == []


def test_removing_one_training_does_not_make_all_others_be_read_again(catalogue):
    kept, gone = "training-000000001", "training-000000002"
    catalogue.add(training(kept), training(gone))
    before = catalogue.get(kept), catalogue.get(gone)
    catalogue.remove(gone)
    assert catalogue.get(kept) is before[0]


def test_a_training_that_is_registered_anew_is_read_anew(catalogue):
    catalogue.add(training())
    assert catalogue.trainings() == [training().without_texts()]
    catalogue.remove(MODEL_ID)
    catalogue.add(training(owner="grace"))
    assert [record.owner for record in catalogue.trainings()] == ["grace"]
    assert catalogue.get(MODEL_ID).owner == "grace"


def test_keys_of_a_later_version_are_dropped(catalogue):
    record = {**training().as_dict(), "of a later version": 1}
    assert Training.from_dict(record) == training()


def test_a_record_of_an_earlier_version_has_defaults():
    record = training().as_dict()
    del record["manifest"], record["warnings"], record["spec"]["metrics"], record["spec"]["description"]
    read = Training.from_dict(record)
    assert (read.manifest, read.warnings, read.spec.metrics, read.spec.description) == ("", (), {}, "")


@pytest.mark.parametrize("text", ["x" * 5000, "nul\0byte", "", ".."])
def test_an_id_that_cannot_be_a_file_is_simply_not_there(catalogue, text):
    catalogue.add(training())
    assert catalogue.get(text) is None


@pytest.mark.parametrize("text", ['{"id": "half', "[]", "{}", '{"spec": {}}', '"text"', "\udcff"])
def test_a_broken_record_is_passed_over_and_told(catalogue, caplog, text):
    catalogue.add(training())
    path = catalogue.record_path("training-broken000")
    path.write_text(text, "utf-8", errors="surrogateescape")
    assert catalogue.get("training-broken000") is None
    assert str(path) in caplog.text


def test_lists_have_no_text_that_is_as_long_as_who_handed_it_in_likes(catalogue):
    long = "x" * 100_000
    whole = training(
        MODEL_ID, description=long, command=long, hyperparameters={"a": "1"}, metric_patterns={"loss": long}
    )
    whole = replace(whole, manifest=long, warnings=(long,), settings={"a": "1"}, code=CodeVersion("0" * 40, diff=long))
    catalogue.add(whole)
    (listed,) = catalogue.trainings()
    assert listed == catalogue.head(MODEL_ID)
    assert len(json.dumps(listed.as_dict(), default=str)) < 5000
    assert (listed.id, listed.spec.name, listed.plan) == (whole.id, whole.spec.name, whole.plan)
    assert catalogue.get(MODEL_ID) == whole


def test_thousands_of_large_records_take_little_memory_and_are_still_whole(catalogue):
    ids = [f"training-{number:09}" for number in range(300)]
    catalogue.add(*(replace(training(each), manifest=each * 10_000) for each in ids))
    tracemalloc.start()
    try:
        assert len(catalogue.trainings()) == 300
        assert all(catalogue.get(each).manifest == each * 10_000 for each in (*ids, *ids[::-1]))
        assert tracemalloc.get_traced_memory()[0] < 40 * 2**20
    finally:
        tracemalloc.stop()


class TestRemembered:
    def test_what_was_used_longest_ago_is_forgotten_first(self):
        kept = Remembered(1000)
        for name in "abcdefghij":
            kept.put(name, name.upper(), 10)
        for number in range(91):
            kept.get("a")
            kept.put(str(number), number, 10)
        assert (kept.get("a"), kept.get("b"), kept.get("90")) == ("A", None, 90)

    def test_what_is_too_large_or_forgotten_is_not_there(self):
        kept = Remembered(1000)
        kept.put("large", 1, 11)
        kept.put("small", 2, 10)
        kept.put("small", 3, 10)
        assert (kept.get("large"), kept.get("small")) == (None, 3)
        kept.forget("small")
        kept.forget("small")
        assert kept.get("small") is None
