"""Sockets that keep to the call they are used in."""

from __future__ import annotations

import io
import socket
import time
from typing import Any

from trainyard.stores.base import Why
from trainyard.stores.network.call import POLL_SECONDS, current
from trainyard.stores.network.limits import ANSWER_BYTES

_HINT = "Tell whoever runs the store: it does not keep to its protocol."


class CallSocket:
    """A connected socket, plain or TLS, as http.client and urllib3 use one."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._silent_seconds: float | None = sock.gettimeout()
        self.reader: CallReader | None = None
        sock.settimeout(POLL_SECONDS)

    def settimeout(self, seconds: float | None) -> None:
        """Set how long the peer may be silent."""
        self._silent_seconds = seconds

    def makefile(self, mode: str = "rb", buffering: int = -1) -> Any:  # noqa: ARG002 - only reading is ever asked for
        self.reader = CallReader(self, self._sock.makefile("rb", buffering=0))
        return self.reader if buffering == 0 else io.BufferedReader(self.reader)

    def sendall(self, data: Any, flags: int = 0) -> None:
        with memoryview(data).cast("B") as view:
            sent = 0
            while sent < len(view):
                sent += self._until_moved(lambda at=sent: self._sock.send(view[at:], flags))

    def recv_into(self, buffer: Any) -> int:
        return self._until_moved(lambda: self._sock.recv_into(buffer))

    def _until_moved(self, move: Any) -> int:
        call, silent = current(), 0.0
        while True:
            _ = call.left
            began = time.monotonic()
            try:
                moved: int = move()
            except TimeoutError:
                call.waited_since(began)
                silent += time.monotonic() - began
                if self._silent_seconds is not None and silent >= self._silent_seconds:
                    raise
                continue
            call.waited_since(began, moved)
            return moved

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class CallReader(io.RawIOBase):
    """The bytes of one answer, no more of them than its call allows.

    `source` holds the socket open as long as this is: a closed connection's last answer can still be read.
    """

    def __init__(self, sock: CallSocket, source: socket.SocketIO) -> None:
        super().__init__()
        self._sock, self._source = sock, source
        self._left = ANSWER_BYTES

    def allow(self, size: int) -> None:
        """Let so many more bytes come, since they are an object's."""
        self._left += size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            current().fail(Why.UNTRUSTED, "its answer has no end", _HINT)
        with memoryview(buffer).cast("B") as view:
            read = self._sock.recv_into(view[: self._left])
        self._left -= read
        return read

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()
