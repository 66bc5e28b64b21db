"""Stored documents in the Python API, against a small front door."""

from __future__ import annotations

import pytest

from trainyard import Client

pytest_plugins = ["cli_front_door"]

ID, RUN, TRAINING = "9e038155-eadd-42f4-9657-45c0c5676486", "c1f6b0f2-6a0e-4c5f-9d0b-7a1c2e3d4f55", "training-DOl4q2LkR"
DOCUMENT = {"id": ID, "url": f"/v3/experiments/{ID}", "name": "digits", "created_at": "2018-03-21T09:30:00Z"}
RUNS = f"/v3/experiments/{ID}/runs"
GOING = {"id": RUN, "state": "running", "experiment": "digits"}


@pytest.fixture
def documents(front_door, home):
    with Client(front_door.url, token="good") as client:
        yield client.documents


@pytest.fixture
def answer(front_door):
    """Answer the next request of a kind so."""
    from cli_front_door import Answer

    return lambda verb, place, status, body=None: front_door.force(verb, place, Answer(status, body))


def test_a_definition_is_stored_with_its_program_and_listed(documents, answer, home):
    (home / "train.py").write_text("print('hello')\n")
    answer("POST", "/v3/training_definitions", 201, {**DOCUMENT, "version_id": RUN})
    made = documents.store_definition(home, {"name": "digits"}, account="vision")
    assert (made.id, made.version_id) == (ID, RUN)
    answer("GET", "/v3/training_definitions", 200, {"resources": [DOCUMENT], "total": 1})
    assert [each.name for each in documents.definitions()] == ["digits"]


def test_an_experiment_is_stored_and_shown(documents, answer):
    answer("POST", "/v3/experiments", 201, DOCUMENT)
    assert documents.store_experiment({"settings": {"name": "digits"}}).id == ID
    answer("GET", f"/v3/experiments/{ID}", 200, {**DOCUMENT, "content": {"name": "digits"}})
    assert documents.experiment(ID).content == {"name": "digits"}


def test_an_experiment_is_run_waited_for_and_canceled(documents, answer, front_door):
    answer("POST", RUNS, 202, GOING)
    made = documents.run(ID)
    ended = {**GOING, "state": "completed", "trainings": [dict(front_door.add(TRAINING, state="completed"))]}
    for seen in (GOING, ended, ended):
        answer("GET", f"{RUNS}/{RUN}", 200, seen)
    assert made.wait(timeout=60) is made
    assert [each.id for each in made.trainings] == [TRAINING]
    answer("PATCH", f"{RUNS}/{RUN}", 202, {**GOING, "state": "canceled"})
    made.cancel()
    assert front_door.paths("PATCH") == [f"{RUNS}/{RUN}"]


def test_one_that_goes_on_for_too_long_is_not_waited_for(documents, answer):
    answer("GET", RUNS, 200, {"resources": [GOING], "total": 1})
    (made,) = documents.runs(ID)
    answer("GET", f"{RUNS}/{RUN}", 200, GOING)
    with pytest.raises(TimeoutError, match=f"{RUN} goes on"):
        made.wait(timeout=0)


def test_what_is_deleted_goes_by_its_id(documents, answer, front_door):
    places = [f"/v3/training_definitions/{ID}", f"/v3/experiments/{ID}"]
    for place in places:
        answer("DELETE", place, 204)
    documents.delete_definition(ID)
    documents.delete_experiment(ID)
    assert front_door.paths("DELETE") == places
