"""A receiver of webhooks that records what it is sent, and answers as it is told: a status, a redirect, never."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """`answers` maps a path to a status, a place to send clients to, or None for an answer that never comes."""

    port: int = 0
    answers: dict[str, int | str | None] = field(default_factory=dict)
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str) -> list[bytes]:
        return [body for where, _, body in list(self.received) if where == path]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """Serve on loopback until the end of the block."""
    there = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            there.received.append((self.path, dict(self.headers), body))
            answer = there.answers.get(self.path, 204)
            if answer is None:
                there.released.wait(240)
                return
            self.send_response(307 if isinstance(answer, str) else answer)
            if isinstance(answer, str):
                self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    there.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    try:
        yield there
    finally:
        there.released.set()
        server.shutdown()
        server.server_close()
