"""What watches the searches in the triggerer: it asks while there is work, and nothing ends it."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakedoor import client_of
from late import Late
from samples import MODEL_ID

from trainyard.core.catalogue import Catalogue
from trainyard.core.search.deciding import Ledger
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.starts import Start

pytestmark = pytest.mark.xdist_group("airflow")

triggers = Late("trainyard.airflow.searchtrigger")


class _Watched:
    """A trigger beside a front door that answers; `asked` has the second of each request since the trigger began."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.asked, self.answers, self.at = folder, [], {}, {}
        self._now, self._until = 0, 0
        monkeypatch.setenv("AIRFLOW_CONN_TRAINYARD_FRONT_DOOR", json.dumps({"conn_type": "http", "host": "door"}))
        monkeypatch.setattr("trainyard.airflow.frontdoor.client_of", lambda connection: client_of(self._answer))

    def run(self, seconds):
        """Let the trigger look for so long by a clock of its own; return when it asked."""
        self._until = seconds
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(anext(triggers.SearchTrigger(str(self.folder), self._sleep).run()))
        return self.asked

    def _answer(self, *request):
        assert request == ("POST", "/v3/searches/due")
        self.asked.append(self._now)
        answer = self.answers.get(self._now)
        if isinstance(answer, Exception):
            raise answer
        return {"again_seconds": answer}

    async def _sleep(self, seconds):
        self._now += seconds
        if self._now > self._until:
            raise asyncio.CancelledError
        self.at.get(self._now, lambda: None)()


@pytest.fixture
def watched(tmp_path, monkeypatch):
    return _Watched(tmp_path, monkeypatch)


def _begin(watched, training_id=MODEL_ID):
    Ledgers(watched.folder / SEARCHES).keep(training_id, Ledger())


def test_it_asks_when_the_front_door_says_and_at_once_for_a_new_search(watched):
    _begin(watched)
    watched.answers = {0: 2.0, 2: 2.0, 4: 3600.0, 7: 1.0, 8: 3600.0}
    watched.at = {7: lambda: _begin(watched, "training-0000000aC")}
    assert watched.run(20) == [0, 2, 4, 7, 8]


def test_what_cannot_be_made_is_asked_for_less_and_less_often_until_there_is_more(watched):
    _begin(watched)
    watched.at = {130: lambda: _begin(watched, "training-0000000aC")}
    assert watched.run(135) == [0, 1, 3, 7, 15, 31, 61, 91, 121, 130, 131, 133]


def test_a_run_that_was_asked_for_is_work_and_an_idle_service_has_none(watched):
    Ledgers(watched.folder / SEARCHES).keep(MODEL_ID, Ledger(), active=False)
    start = Start("training-0000000aB", MODEL_ID, "ada", 1.0)
    watched.at = {5: lambda: Catalogue(watched.folder).starts.add(start)}
    assert watched.run(5) == [5]


def test_a_front_door_that_does_not_answer_does_not_end_it(watched):
    _begin(watched)
    watched.answers = {0: OSError("nobody answers"), 5: OSError("nobody answers"), 10: 1.0, 11: 60.0}
    assert watched.run(20) == [0, 5, 10, 11]


def test_it_comes_back_from_the_database_as_it_was():
    path, arguments = triggers.SearchTrigger("/srv/catalogue").serialize()
    assert path == "trainyard.airflow.searchtrigger.SearchTrigger"
    assert triggers.SearchTrigger(**arguments).serialize() == (path, arguments)
