"""Signed webhooks: one POST of JSON to one checked address, never anywhere that it is redirected to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.message import Message
from trainyard.domain.notification import Address
from trainyard.notify.failing import SendError
from trainyard.stores.network.resolved import allowed

TIMESTAMP, SIGNATURE, DELIVERY = "Trainyard-Timestamp", "Trainyard-Signature", "Trainyard-Delivery"
_VERSION = "v1"
_SILENT_SECONDS = 10.0


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a webhook: HMAC SHA-256 over timestamp, a dot and the body."""
    digest = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"{_VERSION}={digest}"


def signed(address: Address, message: Message, delivery_id: str, now: float) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a webhook."""
    body = json.dumps({"id": delivery_id, **message.as_dict()}, separators=(",", ":")).encode()
    stamp = str(int(now))
    return body, {
        "Content-Type": "application/json",
        "User-Agent": "Trainyard",
        TIMESTAMP: stamp,
        SIGNATURE: signature(address.key, stamp, body),
        DELIVERY: delivery_id,
    }


async def post(
    address: Address,
    message: Message,
    delivery_id: str,
    policy: AddressPolicy,
    ca_bundle: str = "",
    clock: Callable[[], float] = time.time,
) -> None:
    """Send one webhook; raise SendError for every answer but 2xx.

    A name is resolved once, here, and what was checked is what is connected to. A proxy is the choice of whoever runs
    the service, and resolves by itself.
    """
    body, headers = signed(address, message, delivery_id, clock())
    proxy = _proxy_for(address.url)
    url, extra = (address.url, {}) if proxy else await _pinned(address.url, policy)
    options: dict[str, Any] = {"timeout": _SILENT_SECONDS, "follow_redirects": False, "trust_env": False}
    try:
        verify = ssl.create_default_context(cafile=ca_bundle or None)
        async with httpx.AsyncClient(verify=verify, proxy=proxy, **options) as client:
            request = client.build_request("POST", url, content=body, headers={**headers, **extra})
            if extra:
                request.extensions["sni_hostname"] = urlsplit(address.url).hostname
            answer = await client.send(request, stream=True)
            await answer.aclose()
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        # Their texts may hold the address.
        raise SendError(_reason(error)) from None
    _judge(answer.status_code)


async def _pinned(url: str, policy: AddressPolicy) -> tuple[str, Mapping[str, str]]:
    """Return the URL with a checked IP address for its host, and the header that names the host."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # The policy may ask a resolver for names of the service's own.
        rows, reason = await loop.run_in_executor(None, allowed, policy, host, port, found)
    except (OSError, UnicodeError):
        raise SendError("its host's name cannot be looked up") from None
    if not rows:
        raise SendError(f"its host is not allowed: {reason}")
    address = rows[0][4][0]
    literal = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=f"{literal}:{port}").geturl(), {"Host": parts.netloc}


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return None if proxy_bypass(host) else getproxies().get(parts.scheme)


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise SendError(f"it answers {status}, a redirect, which is not followed")
    raise SendError(f"it answers {status}")


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"it does not answer within {_SILENT_SECONDS:.0f} seconds"
    if isinstance(error, httpx.ConnectError):
        return "no connection to it can be made"
    return f"the connection to it broke: {type(error).__name__}"
