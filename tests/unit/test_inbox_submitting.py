"""One drop's way: what is accepted, refused, waited for and left alone."""

from __future__ import annotations

import pytest
from inbox_fakes import MANIFEST, NOW, SECRET, Bucket, Door, packed, run_pass

from trainyard.errors import Problem, TrainyardError

_DAY = 86_400


@pytest.fixture
def bucket():
    return Bucket()


@pytest.fixture
def door():
    return Door()


def _reasons(bucket):
    (text,) = [data.decode() for key, data in bucket.below("refused/").items() if key.endswith("reasons.txt")]
    return text


def test_the_accepted_manifest_has_no_credentials_and_keeps_its_name(bucket, door):
    bucket.drop(names=("digits.v2.json", "Model.ZIP"), manifest=b'{"password": "5b1c0ffee", "name": "digits"}')
    run_pass(bucket, door)
    moved = bucket.below("accepted/vision/training-000000000/")
    assert moved == {"digits.v2.yml": b"password: '****'\nname: digits\n", "Model.ZIP": packed()}


def test_the_front_door_gets_what_was_dropped(bucket, door):
    bucket.drop()
    run_pass(bucket, door)
    assert list(door.trainings.values()) == [("vision", MANIFEST, packed())]


def test_the_same_files_in_two_places_are_two_trainings(bucket, door):
    bucket.drop("inbox/vision/one")
    bucket.drop("inbox/vision/two")
    run_pass(bucket, door)
    assert len(door.trainings) == 2


def test_the_same_files_dropped_at_the_same_place_again_are_no_second_training(bucket, door):
    for _ in range(2):
        bucket.drop()
        run_pass(bucket, door)
    assert len(door.trainings) == 1
    assert bucket.below("inbox/") == {}


def test_a_store_that_tells_no_digests_is_read_back(door):
    bucket = Bucket(known_md5=False)
    bucket.drop()
    run_pass(bucket, door)
    assert bucket.below("inbox/") == {}
    assert bucket.below("accepted/vision/training-000000000/")["model.zip"] == packed()


@pytest.mark.parametrize("known_md5", [True, False])
def test_nothing_is_deleted_while_the_copy_is_not_there_as_it_was_sent(door, known_md5):
    bucket = Bucket(known_md5)
    bucket.drop()
    before = bucket.below("inbox/")
    bucket.lies = {"accepted/vision/training-000000000/model.zip"}
    assert run_pass(bucket, door) == ([], 1)
    assert bucket.below("inbox/") == before
    bucket.lies.clear()
    assert run_pass(bucket, door)[1] == 0
    assert len(door.trainings) == 1


def test_a_fault_of_the_service_leaves_the_drop_where_it_is(bucket, door, caplog):
    bucket.drop()
    before = dict(bucket.objects)
    door.failure = TrainyardError("S500", "the front door does not answer", "Look at it.")
    assert run_pass(bucket, door) == ([], 1)
    assert bucket.objects == before
    assert "the front door does not answer" in caplog.text
    assert SECRET not in caplog.text


def test_a_drop_that_breaks_its_handing_does_not_hold_up_the_others(bucket, door, monkeypatch):
    bucket.drop("inbox/vision/one")
    bucket.drop("inbox/vision/two")
    submit = door.submit
    seen = []

    def broken_once(*arguments):
        seen.append(arguments)
        if len(seen) == 1:
            raise RuntimeError("never thought of")
        return submit(*arguments)

    door.submit = broken_once
    handed, failed = run_pass(bucket, door)
    assert (len(handed), failed) == (1, 1)
    assert len(bucket.below("inbox/")) == 2


def test_a_refused_drop_is_told_every_fault_with_its_hint(bucket, door):
    door.failure = TrainyardError.refused(
        [
            Problem("it is missing.", "Add it.", "model_definition.name", 3, 5),
            Problem("this is not a zip.", "Pack it.", code="C102"),
        ]
    )
    bucket.drop()
    run_pass(bucket, door)
    text = _reasons(bucket)
    assert "inbox/vision/one/ was not trained, for 2 reasons" in text
    assert "C101  line 3, column 5: model_definition.name: it is missing.\n      Add it.\n" in text
    assert "C102  this is not a zip.\n      Pack it.\n" in text


def test_a_refused_drop_is_named_after_its_folder_and_the_time(bucket, door):
    door.failure = TrainyardError("C101", "no", "fix it")
    bucket.drop("inbox/vision/my digits")
    run_pass(bucket, door)
    assert bucket.below("refused/vision/my digits-20231114T221320Z/").keys() == {"job.yml", "model.zip", "reasons.txt"}


def test_an_account_that_does_not_exist_is_told_without_naming_the_others(bucket, door):
    door.failure = TrainyardError("C106", "admin is no member of an account vsion", "Use one of vision, speech.")
    bucket.drop("inbox/vsion/one")
    run_pass(bucket, door)
    assert "there is no account vsion." in _reasons(bucket)
    assert "speech" not in _reasons(bucket)


def test_a_file_called_reasons_is_kept_beside_ours(bucket, door):
    bucket.drop()
    bucket.objects["inbox/vision/one/reasons.txt"] = b"mine"
    run_pass(bucket, door)
    (place,) = {key.rpartition("/")[0] for key in bucket.below("refused/")}
    files = bucket.below(f"refused/{place}/")
    assert files["reasons.txt"] == b"mine"
    assert b"reasons.txt: it is neither the manifest nor the zip." in files["trainyard-reasons.txt"]


class TestHalfWritten:
    @pytest.mark.parametrize("missing", ["job.yml", "model.zip"])
    def test_it_waits_a_day_and_is_refused_then(self, bucket, door, missing):
        bucket.drop()
        del bucket.objects[f"inbox/vision/one/{missing}"]
        before = bucket.below("inbox/")
        for hours in (0, 1, 23.9):
            run_pass(bucket, door, NOW + 3600 * hours)
            assert bucket.below("inbox/") == before
        run_pass(bucket, door, NOW + _DAY)
        assert bucket.below("inbox/") == bucket.below("under-way/") == door.trainings == {}
        assert ("there is no manifest" if missing == "job.yml" else "there is no zip") in _reasons(bucket)

    def test_it_is_trained_when_the_rest_comes(self, bucket, door):
        bucket.drop()
        archive = bucket.objects.pop("inbox/vision/one/model.zip")
        run_pass(bucket, door)
        bucket.objects["inbox/vision/one/model.zip"] = archive
        run_pass(bucket, door, NOW + 60)
        assert len(door.trainings) == 1
        assert bucket.below("under-way/") == {}

    def test_the_day_begins_anew_with_every_change(self, bucket, door):
        bucket.objects["inbox/vision/one/job.yml"] = b"name: a\n"
        run_pass(bucket, door)
        bucket.objects["inbox/vision/one/job.yml"] = b"name: ab\n"
        run_pass(bucket, door, NOW + _DAY - 1)
        run_pass(bucket, door, NOW + _DAY + 1)
        assert bucket.below("inbox/")

    def test_a_zip_without_its_end_waits_and_is_handed_in_as_it_is_after_a_day(self, bucket, door):
        bucket.drop(archive=packed()[:-30])
        run_pass(bucket, door)
        assert door.trainings == {}
        assert bucket.below("inbox/")
        door.failure = TrainyardError("C102", "the zip is truncated", "Upload it again.")
        run_pass(bucket, door, NOW + _DAY)
        assert "the zip is truncated" in _reasons(bucket)

    def test_a_drop_that_changes_between_two_looks_is_left_alone(self, bucket, door):
        bucket.drop()

        def grow():
            bucket.objects["inbox/vision/one/model.zip"] += b"x"

        assert run_pass(bucket, door, settle=grow) == ([], 0)
        assert door.trainings == {}

    def test_a_file_that_changes_while_it_is_read_is_left_alone(self, bucket, door):
        bucket.drop()
        get = bucket.get

        def changed(key, into):
            if key.endswith(".zip"):
                bucket.objects[key] = packed("print(2)")
            return get(key, into)

        bucket.get = changed
        handed, _ = run_pass(bucket, door)
        assert [each.what for each in handed] == ["changed"]
        assert door.trainings == {}

    def test_a_file_that_is_replaced_while_the_drop_is_moved_is_not_deleted(self, bucket, door):
        bucket.drop()
        submit = door.submit

        def replaced(*arguments):
            bucket.objects["inbox/vision/one/job.yml"] = b"name: other\n"
            return submit(*arguments)

        door.submit = replaced
        run_pass(bucket, door)
        assert bucket.below("inbox/") == {"vision/one/job.yml": b"name: other\n"}
