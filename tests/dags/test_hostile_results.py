"""The front door over object stores that mean harm: whose runs they hold loses a little, everybody else nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
from appasking import created_app
from frontdoorfakes import SHOWN_RUN
from hostilestore import HostileStore
from samples import LIMITS, MODEL_ID

from trainyard.core.accounts import Caller
from trainyard.core.runs import Run
from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase
from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import TrainyardError
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store

pytestmark = pytest.mark.xdist_group("airflow")

_DONE = replace(SHOWN_RUN, phase=Phase.DONE, submitted_at=1_700_000_000.0, running_at=None, outcome=Outcome())
_RESULTS = f"/models/{MODEL_ID}/results"
_LONG = NetworkLimits(ANYWHERE, call_seconds=600.0)


class _Service:
    """Has one finished run, whose results are in a bucket."""

    def __init__(self) -> None:
        self.run_there = _DONE
        self.store: Any = None

    def run(self, model_id: str, caller: Caller, deleted: bool = False) -> Run:
        return self.run_there

    def runs(self, caller: Caller, limit: int, offset: int, wanted: Any) -> tuple[list[Run], int]:
        return [self.run_there], 1

    def run_of_log(self, model_id: str, caller: Caller) -> Run:
        return self.run_there

    def stored(self, model_id: str, caller: Caller) -> Any:
        return self.store

    def results(self, model_id: str, caller: Caller, name: str = "") -> Any:
        return self.store

    def waiting(self, run: Run) -> str:
        return ""

    def transfer(self, run: Run) -> None:
        return None

    def limits(self) -> Any:
        return LIMITS


@pytest.fixture
def hostile():
    with HostileStore() as there:
        yield there


@pytest.fixture
def service():
    return _Service()


@pytest.fixture
def app(service, monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
    made = created_app()
    from trainyard.api.auth import caller_of

    made.state.service = service
    made.dependency_overrides[caller_of] = lambda: Caller("ada")
    return made


def bucket(hostile: HostileStore, name: str, limits: NetworkLimits = _LONG) -> S3Store:
    return S3Store(StoreRef("s3", name, hostile.url), Credentials("u", "p"), limits=limits)


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://front.door")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):
        while not condition():
            await asyncio.sleep(0.02)


def has_room_for(app: Any, requests: int) -> bool:
    """Say whether so many requests of the account may wait for its stores."""
    with ExitStack() as taken:
        try:
            for _ in range(requests):
                taken.callback(app.state.store_requests.take(_DONE.account).let_go)
        except TrainyardError:
            return False
    return True


async def leave(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_forty_five_requests_for_results_that_drip_hold_nobody_else_up(app, service, hostile):
    async def attack() -> Counter[int]:
        service.store = bucket(hostile, "drips")
        async with client_of(app) as client:
            asked = [asyncio.create_task(client.get(_RESULTS)) for _ in range(45)]
            await until(lambda: sum(task.done() for task in asked) == 41 and hostile.waiting == 4)
            answered = Counter(task.result().status_code for task in asked if task.done())
            codes = {task.result().json()["error"]["code"] for task in asked if task.done()}
            assert codes == {"C115"}
            assert (await client.get("/models")).status_code == 200
            service.run_there, service.store = replace(_DONE, account="speech"), bucket(hostile, "one-large-page")
            assert len((await client.get(_RESULTS)).json()["resources"]) == 1000
            await leave(*asked)
            await until(lambda: hostile.waiting == 0)
        return answered

    assert asyncio.run(attack()) == {429: 41}


@pytest.mark.parametrize("place", [_RESULTS, f"{_RESULTS}/a", f"/models/{MODEL_ID}/logs"])
def test_a_client_that_leaves_ends_what_was_asked_for_it_and_makes_room(app, service, hostile, place):
    async def attack() -> None:
        service.store = bucket(hostile, "dripping-object" if place != _RESULTS else "drips")
        async with client_of(app) as client:
            for _ in range(3):
                asked = [asyncio.create_task(client.get(place)) for _ in range(4)]
                await until(lambda: hostile.waiting == 4)
                await leave(*asked)
                await until(lambda: hostile.waiting == 0)
                await until(lambda: has_room_for(app, 4))

    asyncio.run(attack())


def test_a_store_that_lists_without_an_end_is_asked_for_a_page_only(app, service, hostile):
    async def ask() -> dict[str, Any]:
        service.store = bucket(hostile, "endless-listing")
        async with client_of(app) as client:
            found: dict[str, Any] = (await client.get(f"{_RESULTS}?limit=10")).json()
            return found

    page = asyncio.run(ask())
    assert (len(page["resources"]), page["continuation"]) == (10, page["resources"][-1]["name"])
    assert len(hostile.asked) == 1


@pytest.mark.parametrize(
    ("name", "place", "code"),
    [
        ("drips", _RESULTS, "S302"),
        ("drips", f"{_RESULTS}/a", "S302"),
        ("endless-page", _RESULTS, "C114"),
        ("same-token", f"{_RESULTS}?continuation=zzz", "C114"),
        ("redirects", _RESULTS, "C114"),
        ("larger", f"/models/{MODEL_ID}/logs", "S302"),
    ],
)
def test_what_is_wrong_with_a_store_is_answered(app, service, hostile, name, place, code):
    async def ask() -> httpx.Response:
        service.store = bucket(hostile, name, NetworkLimits(ANYWHERE, call_seconds=1.0))
        async with client_of(app) as client:
            return await client.get(place)

    answer = asyncio.run(ask())
    assert answer.json()["error"]["code"] == code
    assert answer.status_code == (500 if code == "S302" else 400)


def test_a_store_at_an_address_that_is_not_allowed_is_not_asked(app, service, hostile):
    async def ask() -> httpx.Response:
        service.store = bucket(hostile, "one-large-page", NetworkLimits())
        async with client_of(app) as client:
            return await client.get(_RESULTS)

    assert asyncio.run(ask()).json()["error"]["code"] == "C114"
    assert hostile.asked == []
