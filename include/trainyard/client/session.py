"""Requests of one caller to one service: signed in, patient with its limits, its refusals raised."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from types import MappingProxyType
from typing import Any, TypeVar

import httpx

from trainyard.answers.base import Answer
from trainyard.client.access import Access
from trainyard.client.reading import answer_of, data_of, error_of
from trainyard.client.transport import ANSWER_SECONDS, CONNECT_SECONDS, http_client, pause_asked, translated
from trainyard.errors import TrainyardError

# For so long altogether a request is sent again because the service asks to wait.
_MAX_PAUSE_SECONDS = 180
_NONE: Mapping[str, str] = MappingProxyType({})
A = TypeVar("A", bound=Answer)


class Session:
    """Sends requests, from many threads if need be. Every method raises TrainyardError: the service's own, or one of
    `trainyard.client.errors`.

    `on_pause` hears for how many seconds a service with limits asks to wait; `transport` takes the network's place.
    """

    def __init__(
        self,
        access: Access,
        answer_seconds: float = ANSWER_SECONDS,
        on_pause: Callable[[int], object] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = access.url
        self._access = access
        self._token = access.token
        self._on_pause = on_pause
        self._http = http_client(access.url, answer_seconds, transport)
        self._signing_in = Lock()
        # Whether there was an answer of any kind: a service that has answered is there again soon.
        self.has_answered = False
        # A session that nobody has closed, as in a notebook, is closed when nobody has it any more.
        weakref.finalize(self, self._http.close).atexit = False

    def close(self) -> None:
        self._http.close()

    def sign_in(self, username: str, password: str) -> str:
        """Fetch a token for a name and a password; raise C105 when they are wrong."""
        user = {"username": username, "password": password}
        answer = self._patiently("POST", "/auth/token", token=None, json=user)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            hint = "Check both; `trainyard login` asks for them again."
            raise TrainyardError("C105", f"{self.url} does not know this user name with this password", hint)
        self._token = str(data_of(self.url, answer.status_code, answer.content, "access_token")["access_token"])
        return self._token

    def ask(self, model: type[A], method: str, place: str, **content: Any) -> A:
        """Send a request and read its answer."""
        answer = self.send(method, place, **content)
        return answer_of(model, self.url, answer.status_code, answer.content)

    def send(self, method: str, place: str, stream: bool = False, **content: Any) -> httpx.Response:
        """Send a request, signed in; a token that is no longer taken is renewed once where the password is known."""
        token = self.token()
        answer = self._patiently(method, place, stream, token, **content)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._access.can_sign_in:
            answer.close()
            answer = self._patiently(method, place, stream, self.token(token), **content)
        return answer

    @contextmanager
    def streamed(self, place: str, seconds: float, method: str = "GET", **content: Any) -> Iterator[httpx.Response]:
        """Open an answer as it comes; `seconds` may pass without a byte of it."""
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        headers = {"Accept-Encoding": "identity", **content.pop("headers", {})}
        answer = self.send(method, place, stream=True, timeout=timeout, headers=headers, **content)
        try:
            with translated(self.url):
                if not answer.is_success:
                    raise error_of(self.url, answer.status_code, answer.read())
                yield answer
        finally:
            answer.close()

    @property
    def can_sign_in(self) -> bool:
        return self._access.can_sign_in

    def token(self, refused: str | None = "") -> str | None:
        """Return the token, a new one if there is none but the refused one and the password is known."""
        with self._signing_in:
            if self._access.can_sign_in and self._token in (None, "", refused):
                return self.sign_in(str(self._access.username), str(self._access.password))
            return self._token

    def _patiently(
        self, method: str, place: str, stream: bool = False, token: str | None = None, **content: Any
    ) -> httpx.Response:
        """Send a request, again after the pauses that a service with limits asks for, within bounds."""
        left = _MAX_PAUSE_SECONDS
        while True:
            answer = self._once(method, place, stream, token, **content)
            pause = pause_asked(answer)
            if not 0 < pause <= left:
                return answer
            left -= pause
            answer.close()
            if self._on_pause:
                self._on_pause(pause)
            time.sleep(pause)

    def _once(
        self,
        method: str,
        place: str,
        stream: bool,
        token: str | None,
        headers: Mapping[str, str] = _NONE,
        **content: Any,
    ) -> httpx.Response:
        signed = {"Authorization": f"Bearer {token}"} if token else {}
        with translated(self.url):
            request = self._http.build_request(method, self.url + place, headers={**headers, **signed}, **content)
            answer = self._http.send(request, stream=stream)
        self.has_answered = True
        return answer
