"""A member whose own store means harm, on a whole stack: everybody else is answered as ever."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest
from hostilestore import HostileStore
from yard import Yard

pytestmark = pytest.mark.xdist_group("stack")

_MEMBER = "ada"
_GROWTH_MB = 300


@pytest.fixture
def hostile(yard: Yard) -> Iterator[HostileStore]:
    with HostileStore(yard.stack.status()["api-server"]["address"], yard.hostile_port, drip_seconds=1.0) as there:
        yield there


def submitted(yard: Yard, results: str, endpoint: str) -> str:
    """Submit a training whose results go to a bucket of another store."""

    def led_there(text: str) -> str:
        before, mark, after = text.partition("training_results_reference:")
        after = after.replace(yard.endpoint, endpoint).replace("digits-training-results", results)
        return before + mark + after

    return yard.submit("fails-with-3", change=led_there)


def signed_in(yard: Yard, user: str) -> httpx.AsyncClient:
    url = yard.stack.status()["api-server"]["address"]
    password = json.loads((yard.folder / "airflow" / "passwords.json").read_text())[user]
    account = {"username": user, "password": password}
    token = httpx.post(f"{url}/auth/token", json=account, timeout=120).json()["access_token"]
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=240)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):
        while not condition():
            await asyncio.sleep(0.05)


def test_forty_five_requests_for_results_that_drip_leave_the_service_to_the_others(
    yard: Yard, hostile: HostileStore
) -> None:
    model_id = submitted(yard, "drips", hostile.url)

    async def attack() -> Counter[int]:
        async with signed_in(yard, _MEMBER) as member, signed_in(yard, "admin") as admin:
            place = f"/v3/models/{model_id}/results"
            asked = [asyncio.create_task(member.get(place)) for _ in range(45)]
            await until(lambda: sum(task.done() for task in asked) == 41 and hostile.waiting >= 4)
            for other in ("/v3/models", "/api/v2/monitor/health", "/v3/quota"):
                assert (await admin.get(other)).status_code == 200
            answered = Counter(task.result().status_code for task in asked if task.done())
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        # The run itself may be at one.
        await until(lambda: hostile.waiting <= 1)
        return answered

    assert asyncio.run(attack()) == {429: 41}
    yard.trainyard("cancel", model_id)


def test_pages_without_an_end_take_no_memory_of_the_api_server(yard: Yard, hostile: HostileStore) -> None:
    model_id = submitted(yard, "endless-page", hostile.url)
    yard.finished(model_id)
    server = psutil.Process(yard.stack.status()["api-server"]["pid"])

    def taken() -> float:
        there = [server, *server.children(recursive=True)]
        return sum(process.memory_info().rss for process in there) / 1024**2

    async def ask() -> set[int]:
        async with signed_in(yard, _MEMBER) as member:
            asked = [member.get(f"/v3/models/{model_id}/results") for _ in range(4)]
            return {answer.status_code for answer in await asyncio.gather(*asked)}

    before = taken()
    assert asyncio.run(ask()) == {400}
    assert taken() - before < _GROWTH_MB
    assert yard.run(model_id)["outcome"]["code"] == "C114"


def test_a_store_at_the_services_own_port_is_refused_with_its_line(yard: Yard) -> None:
    own = yard.stack.status()["api-server"]["address"]
    manifest, model = yard.files("fails-with-3", lambda text: text.replace(yard.endpoint, own))
    error = json.loads(yard.trainyard("train", str(model), str(manifest), "--output", "json", fails=True).stdout)
    problems = error["error"]["problems"]
    assert [problem["code"] for problem in problems] == ["C101", "C101"]
    assert all(problem["line"] and "loopback" in problem["message"] for problem in problems)


def test_a_store_that_redirects_inside_ends_the_run_with_its_reason(yard: Yard, hostile: HostileStore) -> None:
    run = yard.finished(submitted(yard, "redirects", hostile.url))
    assert run["outcome"]["code"] == "C114"
    assert "sends its clients elsewhere" in run["outcome"]["message"]
