"""Connections of urllib3 that are made to checked addresses only, and keep to the call they are used in."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from trainyard.domain.addresses import HINT
from trainyard.stores.base import Why
from trainyard.stores.network.call import Call, current
from trainyard.stores.network.resolved import allowed
from trainyard.stores.network.sockets import CallSocket

# What is small enough may still unfold to a hundred times its size for a parser: each of these begins or ends
# something that takes memory of its own; a page of 1,000 keys has 25,000.
_SIGNS = b'<{["'
_MAX_SIGNS = 400_000
# Only hostile documents declare types, and only UTF-8 is read as it is scanned here.
_DECLARES = b"<!DOCTYPE"
# A name that stands for more is none of an object store.
_MAX_ADDRESSES = 8
# What a resolver says of a name that does not exist, or has no address. All else, EAI_AGAIN above all, is that the
# resolver itself does not work, which is the service's own.
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class CheckedConnection:
    """A mixin for urllib3's connections.

    A name is resolved once, here, and what was checked is what is connected to. A proxy is the choice of whoever runs
    the service, and resolves by itself: of what lies behind it only the written host is checked.
    """

    sock: Any

    def _new_conn(self: Any) -> socket.socket:
        if self.proxy is not None:
            made: socket.socket = super()._new_conn()  # type: ignore[misc]
            return made
        try:
            return _connected(current(), self._dns_host, self.port, self.timeout, self.socket_options)
        except socket.gaierror as error:
            current().not_connected = "its host's name cannot be looked up at the moment"
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connect timeout={self.timeout}") from error
        except (OSError, UnicodeError) as error:
            current().not_connected = _why_not(error)
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error

    def connect(self: Any) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = CallSocket(self.sock)

    def getresponse(self: Any) -> Any:
        sock = self.sock  # gone once the answer says that the connection ends with it
        response = super().getresponse()  # type: ignore[misc]
        response.call_reader = sock.reader
        # What is packed is not unpacked: a few bytes would become any number, and digests are of what is stored.
        response.headers.discard("content-encoding")
        return response


def checked(pool: Any, connection: Any) -> Any:
    """Return a pool of urllib3's whose connections, of this class otherwise, are checked."""
    made = type(f"Checked{connection.__name__}", (CheckedConnection, connection), {})
    return type(f"Checked{pool.__name__}", (pool,), {"ConnectionCls": made})


POOLS = {
    "http": checked(HTTPConnectionPool, HTTPConnection),
    "https": checked(HTTPSConnectionPool, HTTPSConnection),
}


def is_object(call: Call, answer: Any, streamed: bool) -> bool:
    """Say whether an answer of urllib3's is the object that the call reads; then as many bytes of it may come."""
    if not streamed or call.size is None or answer.status >= 300:
        return False
    answer.call_reader.allow(call.size)
    return True


def check_answer(body: bytes) -> bytes:
    """Return the body if it can be parsed in little memory; fail the call if not."""
    signs = sum(body.count(sign.to_bytes()) for sign in _SIGNS)
    if signs > _MAX_SIGNS or _DECLARES in body[:4096] or b"\0" in body[:64]:
        current().fail(Why.UNTRUSTED, "its answer is none that an object store gives")
    return body


def check_url(url: str) -> None:
    """Fail the call if its policy refuses the address as it is written."""
    call = current()
    if reason := call.limits.addresses.refusal_of_url(url):
        _refuse(call, reason)


def _connected(call: Call, host: str, port: int, timeout: Any, options: Any) -> socket.socket:
    began = time.monotonic()
    try:
        found = _resolved(call, host.strip("[]"), port)
        rows = _allowed(call, host, port, found)
    finally:
        call.waited_since(began)
    return _first_of(call, rows[:_MAX_ADDRESSES], timeout, options or ())


def _resolved(call: Call, host: str, port: int) -> list[Any]:
    """Return the addresses of a name; fail the call for one that does not exist, which waiting does not change."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno not in _NO_SUCH_NAME:
            raise
        call.fail(Why.NO_HOST, host)


def _why_not(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: the connection is refused"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "there is no way to its network"
    return ""


def _allowed(call: Call, host: str, port: int, found: list[Any]) -> list[Any]:
    rows, reason = allowed(call.limits.addresses, host, port, found)
    if not rows:
        _refuse(call, reason)
    return rows


def _first_of(call: Call, rows: list[Any], timeout: Any, options: Any) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, _, address in rows:
        limit = min(call.left, timeout) if isinstance(timeout, int | float) else call.left
        began, sock = time.monotonic(), socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(limit)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
        finally:
            call.waited_since(began)
    raise failure or OSError("no address")


def _refuse(call: Call, reason: str) -> None:
    call.fail(Why.ADDRESS, reason, HINT)
