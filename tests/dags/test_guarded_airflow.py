"""The guards of Airflow's own pages and API: bodies, logins, slow and endless headers, and whose tokens count."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from late import Late
from rawhttp import Raw, served

from trainyard.settings import read_settings

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    # A library of Airflow's own imports starlette's test client, which warns of the httpx that it finds.
    pytest.mark.filterwarnings("ignore:Using .httpx. with"),
]

airflowdoor = Late("trainyard.api.guards.airflowdoor")
attempts = Late("trainyard.api.guards.attempts")
connections = Late("trainyard.api.guards.connections")
logins = Late("trainyard.api.guards.logins")
tokens = Late("airflow.api_fastapi.auth.tokens")
users = Late("airflow.api_fastapi.auth.managers.simple.user")
managers = Late("trainyard.airflow.authmanager")
_JSON = {"Content-Type": "application/json"}


class _Airflow:
    """Answers each request with what it was given; `/auth/` knows one password."""

    def __init__(self):
        self.bodies = []

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        await _respond(send, self._status(scope, body))

    def _status(self, scope, body):
        if not scope["path"].startswith("/auth/"):
            return 200
        try:
            return 201 if json.loads(body)["password"] == "right" else 401
        except (ValueError, KeyError):
            return 422


async def _respond(send, status):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def airflow():
    return _Airflow()


class TestBodies:
    @pytest.fixture
    def http(self, airflow, monkeypatch):
        app = airflowdoor.AirflowDoor(airflow, read_settings({"TRAINYARD_AIRFLOW_REQUEST_MAX_BYTES": "100KiB"}))
        monkeypatch.setattr(
            "airflow.api_fastapi.core_api.security.get_auth_manager", lambda: SimpleNamespace(get_user_from_token=_user)
        )
        with served(app) as (host, port), httpx.Client(base_url=f"http://{host}:{port}", timeout=120) as client:
            yield client

    @pytest.mark.parametrize("how", [{"headers": {"Authorization": "Bearer good"}}, {"cookies": {"_token": "good"}}])
    def test_a_request_within_the_bounds_arrives_as_it_was(self, http, airflow, how):
        with httpx.Client(base_url=http.base_url, **how) as signed_in:
            assert signed_in.post("/api/v2/dags/x/dagRuns", json={"conf": {"a": "\U0001f600"}}).status_code == 200
        assert json.loads(airflow.bodies[0]) == {"conf": {"a": "\U0001f600"}}

    @pytest.mark.parametrize("path", ["/api/v2/dags/x/dagRuns", "/ui/backfills"])
    def test_nothing_is_read_from_who_is_not_signed_in(self, http, airflow, path):
        for headers in ({}, {"Authorization": "Bearer bad"}, {"Cookie": "_token=bad"}):
            answer = http.post(path, content=b"{}", headers={**_JSON, **headers})
            assert (answer.status_code, answer.json()["detail"]) == (401, "Not authenticated.")
        assert airflow.bodies == []

    @pytest.mark.parametrize("path", ["/api/v2/dags/x/dagRuns", "/auth/token", "/execution/xcoms/x"])
    def test_a_conf_of_megabytes_is_refused_with_and_without_a_length(self, http, airflow, path):
        body = b'{"conf": "%s"}' % (b"x" * 20_000_000)
        for content in (body, iter([body])):
            answer = http.post(path, content=content, headers={**_JSON, "Authorization": "Bearer good"})
            assert answer.status_code == (401 if path.startswith("/exec") and content is not body else 413)
        assert airflow.bodies == []

    @pytest.mark.parametrize("body", [b'"\\ud800"', b'{"conf": {"a": "\\u0000"}}', b'"\xed\xa0\x80"'])
    @pytest.mark.parametrize("path", ["/api/v2/variables", "/auth/token", "/auth/token/cli"])
    def test_text_that_cannot_be_stored_is_malformed(self, http, airflow, body, path):
        answer = http.post(path, content=body, headers={**_JSON, "Authorization": "Bearer good"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")
        assert airflow.bodies == []

    def test_the_same_holds_for_addresses_but_not_for_the_front_doors_own(self, http):
        assert http.get("/api/v2/dags/%00").status_code == 400
        assert http.get("/api/v2/dags?dag_id_pattern=%ED%A0%80").status_code == 400
        assert http.get("/v3/anything").status_code == 200


class TestSeveralGuards:
    @pytest.mark.parametrize("length", [30_000, 80_000])
    def test_a_body_is_read_by_the_first_guard_and_held_to_the_bounds_of_each(self, airflow, length):
        received = []

        async def receive():
            received.append("asked")
            return {"type": "http.request", "body": b"x" * length, "more_body": False}

        settings = read_settings({"TRAINYARD_AIRFLOW_REQUEST_MAX_BYTES": "100KiB"})
        guarded = airflowdoor.AirflowDoor(logins.SlowLogins(airflow, settings), settings)
        asyncio.run(guarded(_scope(length), receive, _unheard))
        assert received == ["asked"]
        assert airflow.bodies == ([b"x" * length] if length == 30_000 else [])


def _scope(length):
    headers = [(b"content-length", str(length).encode())]
    return {"type": "http", "method": "POST", "path": "/auth/token", "headers": headers, "query_string": b""}


async def _unheard(_):
    """Take the answer, which nobody waits for."""


async def _user(token):
    from jwt import InvalidTokenError

    if token != "good":
        raise InvalidTokenError


class _Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class TestAttempts:
    @pytest.fixture
    def clock(self):
        return _Clock()

    @pytest.fixture
    def tried(self, clock):
        return attempts.Attempts(30, clock)

    @staticmethod
    def _fail(tried, clock, count, name="ada", address="10.0.0.1"):
        for _ in range(count):
            clock.now += tried.wait(name, address)
            tried.begin(name, address)

    def test_typing_errors_cost_nothing_and_then_the_wait_doubles_up_to_its_cap(self, tried, clock):
        self._fail(tried, clock, 4)
        waits = []
        for _ in range(8):
            waits.append(tried.wait("ada", "10.0.0.1"))
            self._fail(tried, clock, 1)
        assert waits == [0, 2, 4, 8, 16, 30, 30, 30]

    def test_who_signed_in_before_is_not_kept_out_by_strangers(self, tried, clock):
        tried.begin("ada", "10.0.0.1")
        tried.succeed("ada", "10.0.0.1")
        for number in range(30):
            self._fail(tried, clock, 1, address=f"10.0.1.{number}")
            self._fail(tried, clock, 1, name=f"user{number}", address="10.0.0.1")
        assert tried.wait("ada", "10.0.0.1") == 0
        assert tried.wait("ada", "10.0.0.2") > 0
        assert tried.wait("grace", "10.0.0.1") > 0

    def test_the_right_password_after_the_wait_forgets_the_failures_of_the_name(self, tried, clock):
        self._fail(tried, clock, 9)
        clock.now += tried.wait("ada", "10.0.0.1")
        tried.begin("ada", "10.0.0.1")
        tried.succeed("ada", "10.0.0.1")
        assert tried.wait("ada", "10.0.0.1") == 0

    def test_a_quarter_of_an_hour_forgets_everything(self, tried, clock):
        self._fail(tried, clock, 9)
        clock.now += 900
        assert tried.wait("ada", "10.0.0.1") == 0

    def test_a_member_cannot_reset_its_address_by_signing_in_itself(self, tried, clock):
        for number in range(40):
            self._fail(tried, clock, 1, name=f"user{number}")
            tried.begin("mallory", "10.0.0.1")
            tried.succeed("mallory", "10.0.0.1")
        assert tried.wait("another", "10.0.0.1") > 0

    def test_memory_is_bounded_whatever_names_come(self, tried, clock):
        tried.begin("grace", "10.0.0.2")
        tried.succeed("grace", "10.0.0.2")
        self._fail(tried, clock, 9)
        assert tried.wait("ada", "10.0.0.1") > 0
        for number in range(10_000):
            tried.begin(f"user{number}", f"10.{number}")
            tried.succeed(f"user{number}", f"10.{number}")
        assert tried.wait("ada", "10.0.0.1") == 0
        self._fail(tried, clock, 30, name="grace", address="10.0.0.3")
        assert tried.wait("grace", "10.0.0.2") > 0  # not known any more as one who signed in from there

    def test_of_ipv6_a_network_counts_and_mapped_addresses_are_what_they_map(self):
        assert attempts.network_of("2001:db8::1") == attempts.network_of("2001:db8::ffff:1")
        assert attempts.network_of("::ffff:10.0.0.1") == attempts.network_of("10.0.0.1")


class TestLogins:
    @pytest.fixture
    def http(self, airflow):
        app = logins.SlowLogins(airflow, read_settings({"TRAINYARD_LOGIN_MAX_DELAY_SECONDS": "1"}))
        with served(app) as (host, port), httpx.Client(base_url=f"http://{host}:{port}", timeout=120) as client:
            yield client

    @staticmethod
    def _login(http, password, path="/auth/token"):
        return http.post(path, json={"username": "ada", "password": password})

    def test_a_name_that_failed_too_often_is_told_to_wait_at_every_way_in(self, http, airflow):
        failed = [self._login(http, "wrong").status_code for _ in range(5)]
        refused = self._login(http, "right", "/auth/token/cli")
        assert (failed, refused.status_code) == ([401] * 5, 429)
        assert refused.json()["error"]["code"] == "C120"
        assert (refused.headers["retry-after"], "failed logins" in refused.json()["detail"]) == ("1", True)
        assert len(airflow.bodies) == 5

    def test_the_command_line_waits_and_gets_in(self, http):
        from trainyard.client.access import Access
        from trainyard.client.rest import RestClient

        for _ in range(5):
            self._login(http, "wrong")
        with RestClient(Access(str(http.base_url).rstrip("/"))) as door, pytest.raises(Exception, match="no Trainyard"):
            door.sign_in("ada", "right")  # let in: this Airflow's answer has no token in it

    def test_malformed_logins_are_no_guesses(self, http):
        statuses = {http.post("/auth/token", content=b"{}", headers=_JSON).status_code for _ in range(30)}
        assert statuses == {422}

    def test_a_login_of_megabytes_is_refused(self, http, airflow):
        assert http.post("/auth/token", content=b"x" * 100_000).status_code == 413
        assert airflow.bodies == []


class TestHeaders:
    @pytest.fixture
    def protocol(self):
        """uvicorn's class as it is, patched for one test alone."""
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        kind = type("Bounded", (HttpToolsProtocol,), {})
        assert connections.bound_headers(kind)
        return kind

    @pytest.fixture
    def address(self, airflow, protocol, monkeypatch):
        monkeypatch.setattr("trainyard.api.guards.connections._HEADER_SECONDS", 600.0)
        monkeypatch.setattr("trainyard.api.guards.connections._MAX_WAITING", 20)
        with served(airflow, http=protocol) as where:
            yield where

    @pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
    def test_headers_that_do_not_come_end_the_connection(self, address, sent, monkeypatch):
        monkeypatch.setattr("trainyard.api.guards.connections._HEADER_SECONDS", 0.5)
        with Raw(address) as raw:
            assert raw.send(sent).is_closed_within(120)

    @pytest.mark.parametrize("sent", [b"X-A: " + b"a" * 600_000, b"X-A: a\r\n" * 100_000])
    def test_endless_headers_are_refused(self, address, sent):
        with Raw(address) as raw:
            answer = raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + sent).answer()
        assert not answer or answer.startswith(b"HTTP/1.1 400")

    def test_so_are_endless_trailers(self, address):
        with Raw(address) as raw:
            raw.begin("POST", "/", Transfer_Encoding="chunked").send(b"1\r\nx\r\n0\r\n" + b"X-A: a\r\n" * 100_000)
            answer = raw.answer()
        assert not answer or answer.startswith(b"HTTP/1.1 400")

    def test_of_many_silent_connections_the_oldest_give_way_to_a_request(self, address):
        silent = [Raw(address) for _ in range(40)]
        assert silent[0].is_closed_within(120)
        with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=120) as client:
            assert client.get("/").status_code == 200
            assert client.post("/", content=b"x" * 1_000_000).status_code == 200
        for raw in silent:
            raw.__exit__()

    def test_a_server_of_another_shape_is_left_alone(self, caplog):
        assert not connections.bound_headers(type("Other", (), {}))
        assert "not refused" in caplog.text


class TestTokens:
    """Of the auth manager that is shipped, with the issuer that is shipped."""

    @pytest.fixture
    def manager(self, database, monkeypatch):
        monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_ISSUER", "trainyard")
        manager = managers.AccountAuthManager()
        type(manager)._get_token_validator.cache_clear()
        type(manager)._get_token_signer.cache_clear()
        yield manager
        type(manager)._get_token_validator.cache_clear()
        type(manager)._get_token_signer.cache_clear()

    @staticmethod
    def _user_of(manager, token):
        return asyncio.run(manager.get_user_from_token(token))

    @staticmethod
    def _token(manager, name, role):
        return manager.generate_jwt(users.SimpleAuthManagerUser(username=name, role=role))

    def test_of_its_user_the_role_of_the_list_counts(self, manager):
        assert self._user_of(manager, self._token(manager, "ada", "admin")).role == "user"

    @pytest.mark.parametrize(("name", "role"), [("gone", "admin"), ("ada", "ghost"), ("ada", None), ("", "admin")])
    def test_of_nobody_in_the_list_or_of_no_role_it_is_refused(self, manager, name, role):
        from jwt import InvalidTokenError

        with pytest.raises(InvalidTokenError):
            self._user_of(manager, self._token(manager, name, role))

    @pytest.mark.parametrize("issuer", [None, "another"])
    def test_of_another_issuer_or_of_none_it_is_refused(self, manager, issuer):
        from jwt import InvalidTokenError

        signer = tokens.JWTGenerator(
            **tokens.get_signing_args(), valid_for=60, audience=manager._get_jwt_audience(), issuer=issuer
        )
        with pytest.raises(InvalidTokenError):
            self._user_of(manager, signer.generate({"sub": "ada", "role": "user"}))
