"""How people name runs: parts of ids, names, the newest, and the best of an experiment."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from samples import training
from serviceworld import ADA, GRACE, MALLORY
from serviceworld import world as world  # a fixture

from trainyard.client.access import Access
from trainyard.client.errors import WrongUsageError
from trainyard.client.naming import model_id_of, training_id_of
from trainyard.client.rest import RestClient
from trainyard.core.runs import Run
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

_RUNS = [
    {"model_id": "training-DOl4q2LkR", "state": "completed", "name": "digits", "metrics": {"loss": 0.3, "acc": 0.8}},
    {"model_id": "training-DOx16fgtt", "state": "completed", "name": "letters", "metrics": {"loss": 0.1, "acc": 0.7}},
    {"model_id": "training-Xz81mQ0kR", "state": "running", "name": "letters", "metrics": {}},
]


@pytest.fixture
def service():
    """A service with three runs that knows of no filter, as one of an earlier version; it notes what it is asked."""

    def respond(request):
        if "/searches/" in request.url.path:
            return httpx.Response(404, json={"error": {"code": "C107", "message": "there is no search", "hint": ""}})
        asked.append(dict(request.url.params))
        runs = [{**run, "submitted_at": f"2026-01-0{at}T00:00:00Z"} for at, run in enumerate(_RUNS, 1)]
        start, most = int(request.url.params["offset"]), int(request.url.params["limit"])
        return httpx.Response(200, json={"resources": runs[start : start + most], "total": len(runs)})

    asked = []
    client = RestClient(Access("http://front.door", token="t"), transport=httpx.MockTransport(respond))
    client.asked = asked
    return client


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("training-DOl4q2LkR", "training-DOl4q2LkR"),
        ("6fgtt", "training-DOx16fgtt"),
        ("DOl", "training-DOl4q2LkR"),
        ("training-DOx", "training-DOx16fgtt"),
        ("digits", "training-DOl4q2LkR"),
        ("@last", "training-Xz81mQ0kR"),
        ("@last~2", "training-DOl4q2LkR"),
        ("rates@best:loss", "training-DOx16fgtt"),
        ("rates@best:acc", "training-DOl4q2LkR"),
    ],
)
def test_a_text_stands_for_one_run(service, text, found):
    assert model_id_of(service, text) == found


def test_a_whole_id_is_not_looked_for(service):
    model_id_of(service, "training-DOl4q2LkR")
    assert service.asked == []


@pytest.mark.parametrize("text", ["DO", "kR", "letters", "rates@best"])
def test_what_may_be_several_is_refused_with_all_of_them(service, text):
    with pytest.raises(WrongUsageError) as refused:
        model_id_of(service, text)
    told = refused.value.hint
    assert ("training-DOx16fgtt" in told or "training-Xz81mQ0kR" in told) or ("acc, loss" in told)


@pytest.mark.parametrize("text", ["nothing", "@last~3", "rates@best:f1", "@last~x", "dol"])
def test_what_stands_for_none_is_not_found(service, text):
    with pytest.raises(TrainyardError) as refused:
        model_id_of(service, text)
    assert refused.value.code.code == "C107"


@pytest.mark.parametrize("text", ["", ".", "..", " "])
def test_what_is_no_name_at_all_asks_nobody(service, text):
    with pytest.raises(WrongUsageError):
        model_id_of(service, text)
    assert service.asked == []


def test_an_id_is_taken_for_a_trainings(service):
    assert training_id_of(service, "training-DOl4q2LkR") == "training-DOl4q2LkR"


class TestService:
    @pytest.fixture
    def runs(self, world):
        for model_id, account in (("training-DOl4q2LkR", "vision"), ("training-DOx16fgtt", "speech")):
            world.catalogue.add(training(model_id, account=account))
            world.history.runs[model_id] = Run(
                model_id, model_id, "tf-mnist", account, "tensorflow 2.16", 1, Phase.TRAINING, 1.0
            )
        return world

    def _found(self, world, text, caller):
        return sorted(run.model_id for run in world.service.matching(text, caller))

    def test_parts_of_ids_and_names_find_what_the_caller_may_see(self, runs):
        assert self._found(runs, "DO", GRACE) == ["training-DOl4q2LkR", "training-DOx16fgtt"]
        assert self._found(runs, "DO", ADA) == ["training-DOl4q2LkR"]
        assert self._found(runs, "6fgtt", ADA) == []
        assert self._found(runs, "tf-mnist", ADA) == ["training-DOl4q2LkR"]
        assert self._found(runs, "tf-mnist", MALLORY) == []
        assert self._found(runs, "mnist", ADA) == []

    @pytest.mark.parametrize("text", ["%", "_", "D%", "x" * 200, "'; drop table dag_run"])
    def test_nothing_is_a_pattern(self, runs, text):
        assert self._found(runs, text, GRACE) == []

    def test_a_run_with_part_and_name_is_found_once(self, runs):
        runs.catalogue.add(training("training-DOl4q2LkR", name="DOl4"))
        there = runs.history.runs["training-DOl4q2LkR"]
        runs.history.runs["training-DOl4q2LkR"] = replace(there, name="DOl4")
        assert self._found(runs, "DOl4", ADA) == ["training-DOl4q2LkR"]
