"""What watches the searches in the triggerer: it asks while there is work, and nothing ends it."""

from __future__ import annotations

import asyncio

import pytest
from late import Late
from samples import MODEL_ID

from trainyard.core.catalogue import Catalogue
from trainyard.core.search.deciding import Ledger
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.starts import Start

pytestmark = pytest.mark.xdist_group("airflow")

triggers = Late("trainyard.airflow.searchtrigger")


def _looks(trigger, wanted, fails=()):
    """Run the trigger until it has asked the front door so often; return how many times that was."""
    asked = []

    async def settle(*, new):
        asked.append(new)
        if len(asked) in fails:
            raise OSError("nobody answers")
        return 0.0

    async def run():
        trigger._settle = settle
        watching = asyncio.ensure_future(anext(trigger.run()))
        async with asyncio.timeout(240):
            while len(asked) < wanted:
                await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(run())
    return asked[:wanted]  # it may have asked again before it was stopped


def test_it_asks_while_a_search_goes_on_and_at_once_for_a_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr("trainyard.airflow.searchtrigger._POLL_SECONDS", 0.01)
    Ledgers(tmp_path / SEARCHES).keep(MODEL_ID, Ledger())
    assert _looks(triggers.SearchTrigger(str(tmp_path)), 3) == [True, False, False]


def test_a_run_that_was_asked_for_is_work_and_an_idle_service_has_none(tmp_path):
    trigger = triggers.SearchTrigger(str(tmp_path))
    assert trigger._work() == set()
    Catalogue(tmp_path).starts.add(Start("training-0000000aB", MODEL_ID, "ada", 1.0))
    assert trigger._work() == {"training-0000000aB"}
    Ledgers(tmp_path / SEARCHES).keep(MODEL_ID, Ledger(), active=False)
    assert trigger._work() == {"training-0000000aB"}


def test_a_front_door_that_does_not_answer_does_not_end_it(tmp_path, monkeypatch):
    monkeypatch.setattr("trainyard.airflow.searchtrigger._POLL_SECONDS", 0.01)
    monkeypatch.setattr("trainyard.airflow.searchtrigger._TROUBLE_SECONDS", 0.0)
    Ledgers(tmp_path / SEARCHES).keep(MODEL_ID, Ledger())
    assert len(_looks(triggers.SearchTrigger(str(tmp_path)), 4, fails={1, 2})) == 4


def test_it_comes_back_from_the_database_as_it_was():
    path, arguments = triggers.SearchTrigger("/srv/catalogue").serialize()
    assert path == "trainyard.airflow.searchtrigger.SearchTrigger"
    assert triggers.SearchTrigger(**arguments).serialize() == (path, arguments)
