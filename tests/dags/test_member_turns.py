"""A member's requests beside each other: a few are answered, the next wait, and others are not held up."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from late import Late

from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    # A library of Airflow's own imports starlette's test client, which warns of the httpx that it finds.
    pytest.mark.filterwarnings("ignore:Using .httpx. with"),
]

bodies = Late("trainyard.api.guards.bodies")
turns = Late("trainyard.api.guards.turns")


class _Server:
    """Keeps each request until it is let go, or answers it at once and keeps it in the middle of its body."""

    def __init__(self):
        self.inside = []
        self.go = asyncio.Event()
        self.begins_first = False

    async def __call__(self, scope, receive, send):
        self.inside.append(scope["path"])
        start = {"type": "http.response.start", "status": 200, "headers": []}
        if self.begins_first:
            await send(start)
            await self.go.wait()
        else:
            await self.go.wait()
            await send(start)
        await send({"type": "http.response.body", "body": b"x" * 150_000})


@pytest.fixture
def manager(monkeypatch):
    """Tokens are names; `root` is an admin."""

    async def user(token):
        from jwt import InvalidTokenError

        if token == "bad":
            raise InvalidTokenError
        return SimpleNamespace(get_name=lambda: token)

    made = SimpleNamespace(get_user_from_token=user, is_authorized_pool=lambda user, **_: user.get_name() == "root")
    monkeypatch.setattr("airflow.api_fastapi.core_api.security.get_auth_manager", lambda: made)
    monkeypatch.setattr("trainyard.api.guards.turns.get_auth_manager", lambda: made)


class _Guarded:
    """The middleware around the server above, asked within one loop."""

    def __init__(self, at_once=2):
        self.server = _Server()
        settings = read_settings({"TRAINYARD_MEMBER_REQUESTS": str(at_once)})
        self._app = turns.MemberTurns(self.server, settings)
        self.statuses = []

    def ask(self, name="ada", path="/v3/models", verb="GET", send=None):
        headers = [(b"authorization", f"Bearer {name}".encode())] if name else []
        scope = {"type": "http", "method": verb, "path": path, "headers": headers, "query_string": b""}
        return asyncio.create_task(self._app(scope, _nothing, send or self._heard))

    async def _heard(self, message):
        if message["type"] == "http.response.start":
            self.statuses.append((message["status"], dict(message["headers"])))


async def _nothing():
    return {"type": "http.request", "body": b"", "more_body": False}


async def _settled():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("manager")
class TestTurns:
    @pytest.mark.parametrize("path", ["/v3/models", "/trainyard/", "/trainyard/compare", "/api/v2/dags", "/ui/grid/x"])
    def test_a_member_has_a_few_answered_at_a_time_wherever_they_go(self, path):
        async def ask():
            guarded = _Guarded()
            tasks = [guarded.ask(path=path) for _ in range(5)]
            await _settled()
            assert len(guarded.server.inside) == 2
            guarded.server.go.set()
            await asyncio.gather(*tasks)
            assert [status for status, _ in guarded.statuses] == [200] * 5

        asyncio.run(ask())

    @pytest.mark.parametrize("name", ["grace", "root", "bad", ""])
    def test_nobody_else_waits_for_them(self, name):
        async def ask():
            guarded = _Guarded()
            tasks = [guarded.ask() for _ in range(5)]
            await _settled()
            tasks.append(guarded.ask(name))
            await _settled()
            assert len(guarded.server.inside) == 3
            guarded.server.go.set()
            await asyncio.gather(*tasks)

        asyncio.run(ask())

    @pytest.mark.parametrize(
        ("name", "verb", "path"),
        [("root", "GET", "/v3/models"), ("ada", "POST", "/v3/models"), ("ada", "POST", "/trainyard/v3/models"),
         ("ada", "GET", "/execution/x"), ("ada", "POST", "/auth/token"), ("ada", "GET", "/trainyard/assets/a/b.js")],
    )  # fmt: skip
    def test_what_has_other_limits_or_none_takes_no_turn(self, name, verb, path):
        async def ask():
            guarded = _Guarded()
            tasks = [guarded.ask(name, path, verb) for _ in range(5)]
            await _settled()
            assert len(guarded.server.inside) == 5
            guarded.server.go.set()
            await asyncio.gather(*tasks)

        asyncio.run(ask())

    @pytest.mark.parametrize("below", ["/v3", "/trainyard/v3"])
    @pytest.mark.parametrize("end", ["/logs", "/metrics", "/results/model/a"])
    def test_a_stream_has_its_turn_until_it_begins(self, below, end):
        async def ask():
            guarded = _Guarded()
            guarded.server.begins_first = True
            tasks = [guarded.ask(path=f"{below}/models/training-a{end}") for _ in range(5)]
            await _settled()
            assert len(guarded.server.inside) == 5
            guarded.server.go.set()
            await asyncio.gather(*tasks)

        asyncio.run(ask())

    def test_an_answer_that_nobody_takes_keeps_its_turn(self):
        async def ask():
            guarded, taken = _Guarded(), asyncio.Event()

            async def full(message):
                if message["type"] == "http.response.body":
                    await taken.wait()

            guarded.server.go.set()
            tasks = [guarded.ask(send=full) for _ in range(2)]
            await _settled()
            tasks.append(guarded.ask())
            await _settled()
            assert len(guarded.server.inside) == 2
            taken.set()
            await asyncio.gather(*tasks)
            assert len(guarded.server.inside) == 3

        asyncio.run(ask())

    def test_who_leaves_makes_room_whether_it_was_answered_or_waited(self):
        async def ask():
            guarded = _Guarded()
            tasks = [guarded.ask() for _ in range(4)]
            await _settled()
            tasks[0].cancel()
            tasks[3].cancel()
            await _settled()
            assert len(guarded.server.inside) == 3
            guarded.server.go.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            last = guarded.ask()
            await last
            assert len(guarded.server.inside) == 4

        asyncio.run(ask())

    def test_beyond_so_many_that_wait_the_next_is_told_when_to_come_again(self):
        async def ask():
            guarded = _Guarded()
            tasks = [guarded.ask() for _ in range(203)]
            await _settled()
            ((status, headers),) = guarded.statuses
            assert (status, headers[b"retry-after"], headers[b"x-content-type-options"]) == (429, b"5", b"nosniff")
            guarded.server.go.set()
            await asyncio.gather(*tasks)
            assert [status for status, _ in guarded.statuses].count(200) == 202

        asyncio.run(ask())

    def test_no_limit_is_none(self):
        async def ask():
            guarded = _Guarded(0)
            tasks = [guarded.ask() for _ in range(300)]
            await _settled()
            assert len(guarded.server.inside) == 300
            guarded.server.go.set()
            await asyncio.gather(*tasks)

        asyncio.run(ask())


def test_nothing_is_kept_of_who_asks_no_more():
    async def ask():
        held = turns.Turns(1, most_waiting=0)
        with ExitStack() as turn:
            await held.take("ada", turn)
            with ExitStack() as other, pytest.raises(TrainyardError, match="wait already"):
                await held.take("ada", other)
        assert held == turns.Turns(1, most_waiting=0)

    asyncio.run(ask())


class TestAnswers:
    def test_a_body_is_handed_on_in_pieces_and_whole(self):
        heard = []

        async def send(message):
            heard.append(message)

        async def answer():
            handed = bodies.unstalled(send)
            await handed({"type": "http.response.start", "status": 200, "headers": []})
            await handed({"type": "http.response.body", "body": bytes(range(256)) * 1000, "more_body": True})
            await handed({"type": "http.response.body", "body": b"end"})

        asyncio.run(answer())
        assert b"".join(message.get("body", b"") for message in heard) == bytes(range(256)) * 1000 + b"end"
        assert max(len(message.get("body", b"")) for message in heard) == 64 * 1024
        assert [message.get("more_body", False) for message in heard[1:]] == [True] * 4 + [False]

    def test_a_client_that_takes_nothing_is_left(self):
        async def full(_message):
            await asyncio.Event().wait()

        async def answer():
            await bodies.unstalled(full, 0.01)({"type": "http.response.body", "body": b"x"})

        with pytest.raises(bodies.StalledClient):
            asyncio.run(answer())
