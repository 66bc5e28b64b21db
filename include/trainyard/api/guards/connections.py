"""Connections of Airflow's web server whose headers do not come, or never end, and the bounds of its websockets.

uvicorn has no limit for either, and Airflow's api-server no setting: what is patched here is uvicorn's class for HTTP
connections (httptools, 0.3x to 0.5x). Without the patch, connections that send nothing are kept for ever and headers
are kept in memory however long they are.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

log = logging.getLogger(__name__)
_HEADER_SECONDS = 15.0
_HEADER_BYTES = 64 * 1024
_MESSAGE_BYTES = 256 * 1024
# So many connections may wait for the headers of their first request; the oldest of more than these is closed.
_MAX_WAITING = 500
_NEEDED = ("connection_made", "connection_lost", "data_received", "on_headers_complete", "on_body", "send_400_response")
_PATCHED = "trainyard_bounded"


def bound_headers(protocol: Any = None) -> bool:
    """Patch uvicorn's protocol class; return False, and log a warning, where its shape is not the known one."""
    protocol = protocol or _protocol()
    if protocol is None or not all(callable(getattr(protocol, name, None)) for name in _NEEDED):
        log.warning("uvicorn's connections are not as expected: slow and endless headers are not refused")
        return False
    if not getattr(protocol, _PATCHED, False):
        _patch(protocol, Waiting())
        setattr(protocol, _PATCHED, True)
    return True


def _protocol() -> Any:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return None
    return HttpToolsProtocol


class Waiting:
    """The connections whose next headers have not come yet, the oldest first, each with its deadline."""

    def __init__(self) -> None:
        self._timers: OrderedDict[Any, Any] = OrderedDict()

    def begin(self, connection: Any) -> None:
        """Give a connection until the deadline to send all of its next headers."""
        if connection not in self._timers:
            self._timers[connection] = connection.loop.call_later(_HEADER_SECONDS, self._close, connection)
        while len(self._timers) > _MAX_WAITING:
            self._close(next(iter(self._timers)))

    def end(self, connection: Any) -> None:
        """Forget a connection whose headers are there, or that has gone."""
        if timer := self._timers.pop(connection, None):
            timer.cancel()

    def _close(self, connection: Any) -> None:
        self.end(connection)
        # Not `close`, which waits until what was sent is taken.
        connection.transport.abort()


def _patch(protocol: Any, waiting: Waiting) -> None:
    _patch_connections(protocol, waiting)
    _patch_data(protocol, waiting)
    _patch_progress(protocol, waiting)


def _patch_connections(protocol: Any, waiting: Waiting) -> None:
    made, lost = protocol.connection_made, protocol.connection_lost

    def connection_made(self: Any, transport: Any) -> None:
        self.trainyard_unread = 0
        _bound_messages(self.config)
        made(self, transport)
        waiting.begin(self)

    def connection_lost(self: Any, error: Any) -> None:
        waiting.end(self)
        lost(self, error)

    protocol.connection_made, protocol.connection_lost = connection_made, connection_lost


def _patch_data(protocol: Any, waiting: Waiting) -> None:
    received = protocol.data_received

    def data_received(self: Any, data: bytes) -> None:
        # Headers and trailers are kept until they are complete; whatever else comes shows as progress meanwhile.
        unread, self.trainyard_unread = self.trainyard_unread + len(data), -1
        received(self, data)
        self.trainyard_unread = unread if self.trainyard_unread < 0 else 0
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # it has become a websocket
            return
        if self.trainyard_unread > _HEADER_BYTES:
            self.send_400_response("The request's headers are too large.")
        elif self.cycle is None or self.cycle.response_complete:
            waiting.begin(self)

    protocol.data_received = data_received


def _bound_messages(config: Any) -> None:
    """Keep websockets from holding much in memory, and from being taken for dead while their client reads nothing."""
    config.ws_max_size = _MESSAGE_BYTES
    config.ws_per_message_deflate = False
    # It still asks whether the client is there, which keeps proxies from ending a connection that is silent.
    config.ws_ping_timeout = None


def _patch_progress(protocol: Any, waiting: Waiting) -> None:
    complete, body = protocol.on_headers_complete, protocol.on_body

    def on_headers_complete(self: Any) -> None:
        self.trainyard_unread = 0
        waiting.end(self)
        complete(self)

    def on_body(self: Any, data: bytes) -> None:
        self.trainyard_unread = 0
        body(self, data)

    protocol.on_headers_complete, protocol.on_body = on_headers_complete, on_body
