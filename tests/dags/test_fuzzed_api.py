"""Whatever is sent to the front door, and by whom: it never fails, answers as described and reports no secret."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import replace
from functools import cache

import httpx
import pytest
from accountsyard import OTHER_RUN
from accountsyard import yard as yard  # a fixture
from fuzz.asked import Asked, hostile_request
from fuzz.scalars import SECRET
from fuzz.verdicts import random_of
from historyworld import world as world  # a fixture
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from memorystore import MemoryStore
from samples import MODEL_ID

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    # Starlette leaves the file of a part that broke off to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"),
]

# `make fuzz` asks for more, from a seed of its own.
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1"))
_SEED = os.environ.get("FUZZ_SEED", "trainyard")
_IDS = (MODEL_ID, OTHER_RUN)
_CALLERS = {"nobody": None, "a member": ("ada", "user"), "an admin": ("root", "admin")}
_ANSWER_SECONDS = 30


@pytest.fixture
def door(yard):
    """The real service over Airflow's database; only the buckets are in memory."""
    app = yard.client("ada").app
    store = MemoryStore()
    store.contents = {"model/a": b"x" * 10}
    app.state.service = replace(app.state.service, results_of=lambda training: store)
    return _Door(app, {name: yard.client(*who).headers if who else {} for name, who in _CALLERS.items()})


class _Door:
    """Sends requests as they are; notes what may not have been answered so."""

    def __init__(self, app, headers):
        self.app = app
        self._headers = headers
        self.faults = []
        self.statuses = set()

    def ask(self, asked):
        for caller in _CALLERS:
            self._ask(caller, asked)

    def _ask(self, caller, asked):
        try:
            answer = asyncio.run(asyncio.wait_for(self._sent(asked, self._headers[caller]), _ANSWER_SECONDS))
        except Exception as error:  # noqa: BLE001 - finding these is the purpose
            self.faults.append(f"{caller}: {asked!r:.600}\n  {type(error).__name__}: {error!s:.500}")
            return
        self.statuses.add((caller, answer.status_code))
        if fault := _fault_of(answer, caller):
            self.faults.append(f"{caller}: {asked!r:.600}\n  {fault}: {answer.status_code} {answer.text[:500]}")

    async def _sent(self, asked, headers):
        everything = {**{name: value.encode() for name, value in asked.headers.items()}, **_bytes(headers)}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://front.door"
        ) as client:
            return await client.request(asked.method, asked.path, headers=everything, content=asked.body)


def _bytes(headers):
    return {name: value.encode() for name, value in headers.items()}


def _fault_of(answer, caller):
    if answer.status_code >= 500:
        return "failed"
    if SECRET in answer.text:
        return "told a secret"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        return _fault_of_error(answer)
    return (
        "let nobody in"
        if caller == "nobody"
        and answer.request.method != "OPTIONS"
        and answer.status_code < 300
        and not answer.request.url.path.startswith("/schemas")  # anybody's, as docs/rest.md says
        else ""
    )


def _fault_of_error(answer):
    with suppress(ValueError, KeyError, TypeError):
        error = answer.json()["error"]
        whole = all(error[name] for name in ("code", "message", "hint")) and error["fault"] == "client"
        return "" if whole and all(problem["hint"] for problem in error["problems"]) else "has no hint"
    return "is no error as described"


@pytest.fixture(scope="module")
def as_described():
    """What makes the requests of a description, once for both databases: they take longer to make than to answer."""

    @cache
    def requests(description):
        return tuple(_requests(json.loads(description)))

    return requests


def test_no_request_made_from_the_description_makes_the_service_fail(door, as_described):
    for asked in as_described(json.dumps(door.app.openapi())):
        door.ask(asked)
    assert not door.faults, "\n".join(door.faults[:10])
    assert {("nobody", 401), ("a member", 200), ("an admin", 200)} <= door.statuses


def _requests(description):
    import schemathesis

    operations = [found.ok() for found in schemathesis.openapi.from_dict(description).get_all_operations()]
    assert len(operations) > 10
    # Housekeeping last: it may remove what the others look at.
    for operation in sorted(operations, key=lambda each: each.path == "/housekeeping"):
        for mode in schemathesis.GenerationMode:
            yield from _of_operation(operation, mode)


def _of_operation(operation, mode):
    made = []

    @seed(_SEED)
    @settings(max_examples=_EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def note(case):
        made.append(_asked(case))
        if case.path_parameters and operation.method != "delete":
            case.path_parameters = dict.fromkeys(case.path_parameters, MODEL_ID)
            made.append(_asked(case))

    # Some parameters cannot be wrong.
    with suppress(Unsatisfiable):
        note()
    return made


def _asked(case):
    import requests

    ready = requests.Request(**case.as_transport_kwargs(base_url="http://front.door")).prepare()
    body = ready.body.encode() if isinstance(ready.body, str) else ready.body or b""
    headers = {
        name: value
        for name, value in ready.headers.items()
        if name.lower() in ("content-type", "idempotency-key", "range")
    }
    return Asked(ready.method, ready.path_url, {name: _text(value) for name, value in headers.items()}, body)


def _text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def test_no_hostile_request_makes_the_service_fail(door):
    for number in range(30 * _EXAMPLES):
        door.ask(hostile_request(random_of(_SEED, number), _IDS))
    assert not door.faults, "\n".join(door.faults[:10])
