"""Calls of a tracking server that may lie, drip, redirect or be away: none of it takes longer than it may, or more."""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx

from trainyard.client.access import is_loopback

# A run with a thousand metrics is the largest answer that is asked for.
MAX_ANSWER_BYTES = 4 * 1024**2
_SILENT_SECONDS = 15.0
_CODE = re.compile(r"[A-Z][A-Z_]{2,59}")
_BUSY = frozenset({408, 425, 429})
NOT_FOUND, EXISTS = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"


class TrackingError(Exception):
    """Why a server does not have a run, in words without anything that the server or the connection says.

    `again` says that another try may help; `code` is MLflow's own.
    """

    def __init__(self, reason: str, *, again: bool = False, code: str = "") -> None:
        super().__init__(reason)
        self.again, self.code = again, code


@dataclass(frozen=True)
class Server:
    """Where a tracking server is and how to sign in: with a user and a password, or a token alone.

    Whoever runs the service has chosen the address, so it may be anywhere; nobody else's is followed to.
    """

    url: str = field(repr=False)
    user: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    ca_bundle: str = ""

    def client(self) -> httpx.AsyncClient:
        """Open connections; raise TrackingError where certificates or proxy of the service cannot be used."""
        try:
            return httpx.AsyncClient(
                auth=httpx.BasicAuth(self.user, self.secret) if self.user else None,
                headers=self._headers(),
                verify=ssl.create_default_context(cafile=self.ca_bundle) if self.ca_bundle else True,
                timeout=_SILENT_SECONDS,
                follow_redirects=False,
                trust_env=not is_loopback(self.url),
            )
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            raise TrackingError(f"no connection can be made: {type(error).__name__}") from None

    def _headers(self) -> dict[bytes, bytes]:
        # Packed answers would have to be unpacked, to whatever size.
        headers = {b"accept-encoding": b"identity"}
        if self.secret and not self.user:
            headers[b"authorization"] = b"Bearer " + self.secret.encode()
        return headers


async def call(client: httpx.AsyncClient, url: str, method: str, **content: Any) -> dict[str, Any]:
    """Send one request and return the JSON map of its answer; raise TrackingError for anything else."""
    try:
        async with client.stream(method, url, **content) as answer:
            body = await _body(answer)
            return _read(answer.status_code, body)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        # Their texts may hold what was sent.
        raise TrackingError(_spoken(error), again=True) from None


async def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise TrackingError("its answer is larger than any of MLflow's")
    return bytes(body)


def _read(status: int, body: bytes) -> dict[str, Any]:
    if 300 <= status < 400:
        raise TrackingError("it sends its clients elsewhere, and they are not to follow")
    data = _json(body)
    if status >= 400:
        raise _refusal(status, data)
    if data is None:
        raise TrackingError("its answer is none of MLflow's")
    return data


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _refusal(status: int, data: dict[str, Any] | None) -> TrackingError:
    given = data.get("error_code") if data else None
    code = given if isinstance(given, str) and _CODE.fullmatch(given) else ""
    if status in (401, 403):
        return TrackingError(f"it does not take the connection's login ({status})", code=code)
    return TrackingError(f"it answers {status}{code and f' {code}'}", again=status >= 500 or status in _BUSY, code=code)


def _spoken(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"it does not answer within {_SILENT_SECONDS:.0f} seconds"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return "no connection to it can be made"
    return f"the connection to it broke: {type(error).__name__}"
