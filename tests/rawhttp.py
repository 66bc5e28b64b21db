"""A real web server for an app, and requests byte by byte, as clients that mean no good send them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_LIMIT_SECONDS = 120


@contextmanager
def served(app: Any, **options: Any) -> Iterator[tuple[str, int]]:
    """Serve an app as Airflow's api-server does, without its start unless `lifespan` is "on"; give its address."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, **{"log_level": "error", "lifespan": "off", "timeout_graceful_shutdown": 1, **options})
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(_LIMIT_SECONDS)


class Raw:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, _LIMIT_SECONDS)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, method: str, path: str, **headers: str) -> Raw:
        """Send the head of a request; `_` in names of headers is `-`."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": "door", **headers}.items()]
        return self.send("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode())

    def send(self, data: bytes) -> Raw:
        """Send, as far as the other side still takes it."""
        with suppress(OSError):
            self._socket.sendall(data)
        return self

    def answer(self) -> bytes:
        """Return what comes until the other side closes."""
        return b"".join(iter(self._received, b""))

    def head(self) -> bytes:
        """Return what comes until the end of a head."""
        found = b""
        while not found.endswith(b"\r\n\r\n") and (more := self._received(1)):
            found += more
        return found

    def silent_for(self, seconds: float) -> bool:
        """Say whether nothing comes for so long."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(_LIMIT_SECONDS)

    def _received(self, size: int = 65536) -> bytes:
        try:
            return self._socket.recv(size)
        except ConnectionError:
            return b""

    def is_closed_within(self, seconds: float) -> bool:
        ends = time.monotonic() + seconds
        self._socket.settimeout(seconds)
        try:
            while time.monotonic() < ends:
                if not self._received():
                    return True
        except TimeoutError:
            return False
        return False
