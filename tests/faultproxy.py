"""An HTTP server before an object store that fails in the ways networks and stores do, request by request."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import unquote, urlsplit

_DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>'
_SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>'


@dataclass(frozen=True)
class Asked:
    """One request; `number` counts those with the same method and path, from 1."""

    method: str
    path: str
    query: str
    range: str
    number: int


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer: another one, or its first `bytes` and then the connection's end.

    Or `silent`, and nothing comes any more, or a `trickle`, and a byte comes now and then.
    """

    status: int = 0
    content: bytes | None = None
    etag: str = ""
    bytes: int = 0
    silent: bool = False
    trickle: bool = False

    @property
    def stated(self) -> bytes:
        """The answer's body: what such a status goes with, if nothing else was wanted."""
        if self.content is not None:
            return self.content
        return _DENIED if self.status == 403 else _SLOW_DOWN


class FaultProxy:
    """`fault` decides of every request; `asked` is all that came. Silence lasts until the proxy is left."""

    def __init__(self, server: str, fault: Callable[[Asked], Fault | None] = lambda _: None) -> None:
        self.fault, self.asked = fault, list[Asked]()
        self._server = urlsplit(server).netloc
        self._lock, self._over = Lock(), Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def count(self, method: str, path: str, query: str, ranged: str) -> Asked:
        with self._lock:
            same = sum((one.method, one.path) == (method, path) for one in self.asked)
            asked = Asked(method, path, query, ranged, same + 1)
            self.asked.append(asked)
        return asked

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(self._server, timeout=60)
        try:
            # The signature is of the host that the client knows: it goes through as it is.
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def be_silent(self, seconds: float = 60) -> bool:
        """Wait; return True once the proxy is left."""
        return self._over.wait(seconds)


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = proxy.count(self.command, unquote(url.path), url.query, self.headers.get("Range", ""))
            fault = proxy.fault(asked)
            if fault and fault.status:
                self.answer(fault.status, {"Content-Type": "application/xml", "ETag": fault.etag}, fault.stated)
                return
            try:
                answer, content = proxy.ask(self.command, self.path, body, dict(self.headers))
            except OSError:
                self.close_connection = True
                return
            if fault:
                self.break_off(answer, content, fault)
            else:
                reported = {"Content-Length": answer.getheader("Content-Length", "")} if self.command == "HEAD" else {}
                self.answer(answer.status, {**_end_to_end(answer), **reported}, content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def break_off(self, answer: http.client.HTTPResponse, content: bytes, fault: Fault) -> None:
            self.send_response_only(answer.status)
            for name, value in _end_to_end(answer).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: fault.bytes])
            if fault.silent:
                proxy.be_silent()
            for byte in content[fault.bytes :] if fault.trickle else b"":
                if proxy.be_silent(0.02):
                    break
                self.wfile.write(bytes([byte]))
            self.close_connection = True

        def handle(self) -> None:
            # A client may go away: that is what some tests are about.
            with suppress(ConnectionError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _end_to_end(answer: http.client.HTTPResponse) -> dict[str, str]:
    gone = ("content-length", "connection", "transfer-encoding", "keep-alive")
    return {name: value for name, value in answer.getheaders() if name.lower() not in gone}
