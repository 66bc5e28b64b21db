"""ASGI middleware over Airflow's whole api-server: logins slow down after failures."""

from __future__ import annotations

import hashlib
import json
import time
from urllib.parse import parse_qs

from trainyard.api.guards.asgi import App, Message, Receive, Scope, Send, header, path_of, refuse
from trainyard.api.guards.attempts import Attempts, network_of
from trainyard.api.guards.bodies import Bounds, whole_body
from trainyard.api.guards.budgets import too_many
from trainyard.errors import TrainyardError
from trainyard.settings import Settings

_LOGIN = Bounds(64 * 1024)


class SlowLogins:
    """Answers 429 to a login of a user name or an address that has failed too often lately."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._attempts = Attempts(settings.login_max_delay_seconds, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not path_of(scope).startswith("/auth/"):
            return await self._app(scope, receive, send)
        try:
            _LOGIN.check_announced(scope)
            body, receive = await whole_body(scope, receive, _LOGIN)
            if body is None:
                return None
            name, address = _user_in(body, header(scope, b"content-type")), _address_of(scope)
            self._check(name, address)
        except TrainyardError as error:
            # Airflow's login page shows `detail`.
            return await refuse(send, error, detail=f"{error.message[:1].upper()}{error.message[1:]}. {error.hint}")
        return await self._app(scope, receive, self._judging(name, address, send))

    def _check(self, name: str, address: str) -> None:
        if (wait := self._attempts.wait(name, address)) > 0:
            raise too_many("there were too many failed logins", wait)
        self._attempts.begin(name, address)

    def _judging(self, name: str, address: str, send: Send) -> Send:
        async def judged(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._judge(message["status"], name, address)
            await send(message)

        return judged

    def _judge(self, status: int, name: str, address: str) -> None:
        if status < 300:
            self._attempts.succeed(name, address)
        elif status not in (401, 403):
            self._attempts.withdraw(name, address)


def _user_in(body: bytes, content_type: str) -> str:
    """Return a digest of the user name in a login, as short for long names; empty where there is none."""
    name = _form_name(body) if "urlencoded" in content_type else _json_name(body)
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32] if name else ""


def _json_name(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("username") or "") if isinstance(found, dict) else ""


def _form_name(body: bytes) -> str:
    try:
        found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
    except ValueError:
        return ""
    # Of a field that is given twice, Airflow reads the last one.
    return found.get("username", [""])[-1]


def _address_of(scope: Scope) -> str:
    client = scope.get("client")
    return network_of(client[0]) if client else ""
