"""Validation: everything that is missing is told at once, before anything waits."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from memorystore import MemoryStore
from samples import SPEC

from trainyard.errors import TrainyardError
from trainyard.steps.validate import validate
from trainyard.stores.base import StoreError, Why
from trainyard.stores.refusals import refusal

ID = "training-DOl4q2LkR"


@pytest.fixture
def data() -> MemoryStore:
    return MemoryStore(**{"train.csv": b"1,2"})


@pytest.fixture
def results() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.py", "print('hello')")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(*args: object) -> TrainyardError:
    with pytest.raises(TrainyardError) as caught:
        validate(*args)  # type: ignore[arg-type]
    return caught.value


def forbid(store: MemoryStore, why: Why, *actions: str) -> MemoryStore:
    def refuse(*_: object, **__: object) -> None:
        raise refusal(why, store.place, actions[0])

    for action in actions:
        setattr(store, action, refuse)
    return store


def test_what_is_all_there_passes_and_leaves_nothing_behind(
    data: MemoryStore, results: MemoryStore, model: Path
) -> None:
    validate(SPEC, data, results, model, sha256(model))
    assert len(results.sent) == 1
    assert results.contents == {}


def test_an_empty_data_bucket_is_refused(results: MemoryStore, model: Path) -> None:
    error = refused(SPEC, MemoryStore(), results, model, sha256(model))
    assert (error.code.code, error.message) == ("C103", "bucket memory at http://nowhere is empty")


def test_a_data_bucket_that_is_listed_and_not_readable_is_refused(
    data: MemoryStore, results: MemoryStore, model: Path
) -> None:
    error = refused(SPEC, forbid(data, Why.FORBIDDEN, "get"), results, model, sha256(model))
    assert isinstance(error, StoreError)
    assert error.why is Why.FORBIDDEN


def test_of_a_large_object_only_the_beginning_is_read(results: MemoryStore, model: Path) -> None:
    data = MemoryStore(**{"large": b"x" * (3_000_000)})
    read: list[int] = []
    get = data.get

    def counting(key: str, into: object) -> object:
        write = into.write  # type: ignore[attr-defined]
        into.write = lambda piece: (read.append(len(piece)), write(piece))  # type: ignore[attr-defined]
        return get(key, into)  # type: ignore[arg-type]

    data.get = counting  # type: ignore[method-assign, assignment]
    validate(SPEC, data, results, model, sha256(model))
    assert len(read) == 1


def test_what_runs_stored_in_the_same_bucket_is_no_data(model: Path) -> None:
    both = MemoryStore(**{f"{ID}/model/weights": b"1", "_wml_checkpoints/step": b"2"})
    same = replace(SPEC, results=SPEC.data)
    assert "is empty" in refused(same, both, both, model, sha256(model)).message
    validate(SPEC, both, both, model, sha256(model))


def test_a_results_bucket_that_cannot_be_written_is_refused(
    data: MemoryStore, results: MemoryStore, model: Path
) -> None:
    error = refused(SPEC, data, forbid(results, Why.FORBIDDEN, "put"), model, sha256(model))
    assert (error.code.code, error.code.retried) == ("C103", False)


def test_a_bucket_that_keeps_its_objects_takes_results_all_the_same(
    data: MemoryStore, results: MemoryStore, model: Path
) -> None:
    validate(SPEC, data, forbid(results, Why.FORBIDDEN, "delete"), model, sha256(model))


def test_another_zip_than_the_registered_one_is_the_services_fault(
    data: MemoryStore, results: MemoryStore, model: Path
) -> None:
    assert refused(SPEC, data, results, model, "0" * 64).code.code == "S301"
    assert refused(SPEC, data, results, model.with_name("gone"), "0" * 64).code.code == "S301"


def test_a_program_that_the_zip_lacks_is_refused_with_its_name(
    data: MemoryStore, results: MemoryStore, model: Path
) -> None:
    spec = replace(SPEC, command="python3 code/train.py")
    error = refused(spec, data, results, model, sha256(model))
    assert error.code.code == "C102"
    assert "code/train.py" in str(error.problems[0])
    assert "train.py?" in error.problems[0].hint


def test_all_faults_come_at_once(data: MemoryStore, results: MemoryStore, model: Path) -> None:
    spec = replace(SPEC, command="python3 gone.py")
    down = forbid(data, Why.UNREACHABLE, "list")
    error = refused(spec, down, forbid(results, Why.CREDENTIALS, "put"), model, "0" * 64)
    assert [problem.code for problem in error.problems] == ["C103", "C102", "S302", "S301"]
    assert [problem.path for problem in error.problems[:1]] == ["training_results_reference"]
    assert (error.code.code, error.code.retried) == ("C103", False)


def test_a_store_that_is_down_alone_is_worth_a_retry(data: MemoryStore, results: MemoryStore, model: Path) -> None:
    error = refused(SPEC, forbid(data, Why.UNREACHABLE, "list"), results, model, sha256(model))
    assert (error.code.code, error.code.retried) == ("S302", True)
