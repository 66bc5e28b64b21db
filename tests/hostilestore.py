"""An object store that means harm, on the loopback interface: S3, Keystone and Swift, another harm in each bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import parse_qs, unquote, urlsplit

MANY = [f"img/{number:05d}.txt" for number in range(2500)]
CONTENT = b"12345"
_ETAG = hashlib.md5(CONTENT).hexdigest()
_MIB = bytes(1024**2)


class HostileStore:
    """Serves until it is left. `inside` is where it sends clients that can be led; `sent` counts what it has sent.

    `waiting` is how many answers it is at that have no end.
    """

    def __init__(self, inside: str = "", port: int = 0, drip_seconds: float = 0.05) -> None:
        self.inside, self.drip_seconds = inside, drip_seconds
        self.asked: list[str] = []
        self.sent = self.waiting = 0
        self.over, self._lock = Event(), Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HostileStore:
        Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, sent: int = 0, waiting: int = 0) -> None:
        with self._lock:
            self.sent += sent
            self.waiting += waiting


# What a Keystone answers to a sign-in, by its address, that is none of Keystone's answers.
_SHAPES = {
    "/list": b"[]",
    "/no-token": b'{"token": []}',
    "/odd-catalog": b'{"token": {"catalog": [[1]], "expires_at": "2099-01-01T00:00:00Z", "methods": []}}',
    "/no-moment": b'{"token": {"catalog": [], "expires_at": "soon", "methods": []}}',
    "/number": b"7",
}


def _handler_of(store: HostileStore) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Hostile,), {"store": store})


class _Hostile(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: HostileStore

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.store.asked.append(f"{self.command} {self.path}")
        with suppress(OSError):
            self._answer()

    do_HEAD = do_DELETE = do_GET  # noqa: N815 - what http.server calls

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def do_POST(self) -> None:
        self.do_PUT()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        path = unquote(url.path)
        if "/v3" in path:
            return _drips(self, _s3_page, "", {}) if path.startswith("/drips") else self._sign_in(path)
        swift = path.startswith("/v1/AUTH_p/")
        bucket, _, key = path.removeprefix("/v1/AUTH_p").lstrip("/").partition("/")
        page = _swift_page if swift else _s3_page
        if bucket.startswith("status-"):
            status, _, stated = bucket.removesuffix("_segments").removeprefix("status-").partition("-")
            self.whole(stated.encode(), int(status))
            return None
        return _WAYS[bucket.removesuffix("_segments")](self, page, key, query)

    def _sign_in(self, path: str) -> None:
        if self.command == "GET":
            here = f"{self.store.url}{path.partition('/v3')[0]}/v3/"
            version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": here}]}
            self.whole(json.dumps({"version": version}).encode())
            return
        storage = self.store.inside if "inside" in path else self.store.url
        endpoint = {"interface": "public", "region": "r", "region_id": "r", "url": f"{storage}/v1/AUTH_p", "id": "e"}
        catalog = [{"type": "object-store", "name": "swift", "id": "s", "endpoints": [endpoint]}]
        if odd := _SHAPES.get(path.partition("/v3")[0]):
            self.whole(odd, 201, {"X-Subject-Token": "t", "Content-Type": "application/json"})
            return
        token = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00Z", "catalog": catalog}
        user = {"id": "u", "name": "u", "domain": {"id": "d", "name": "d"}}
        self.whole(json.dumps({"token": {**token, "user": user}}).encode(), 201, {"X-Subject-Token": "t"})

    def whole(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.begin(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def endless(self, piece: bytes, pause: float = 0.0) -> None:
        """Send the piece again and again, until the client leaves."""
        self.store.count(waiting=1)
        try:
            while not self.store.over.wait(pause):
                self.wfile.write(piece)
                self.store.count(sent=len(piece))
        finally:
            self.store.count(waiting=-1)


_Page = Callable[..., bytes]
_Way = Callable[[_Hostile, _Page, str, dict[str, str]], None]


def _s3_page(keys: list[str], truncated: str = "false", token: str = "", size: int = len(CONTENT)) -> bytes:
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;{_ETAG}&quot;</ETag></Contents>" for key in keys
    )
    next_token = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        f"<ListBucketResult><Name>b</Name><IsTruncated>{truncated}</IsTruncated>{next_token}{rows}</ListBucketResult>"
    ).encode()


def _swift_page(keys: list[str], _truncated: str = "", _token: str = "", size: int = len(CONTENT)) -> bytes:
    return json.dumps([{"name": key, "bytes": size, "hash": _ETAG, "content_type": "a/b"} for key in keys]).encode()


def _behind(query: dict[str, str]) -> str:
    return max(query.get(name, "") for name in ("marker", "start-after", "continuation-token"))


def _pages_of(keys: list[str], query: dict[str, str], known: tuple[str, ...]) -> list[str]:
    behind = max(query.get(name, "") for name in known)
    return [key for key in keys if key > behind and key.startswith(query.get("prefix", ""))][:1000]


def _drips(server: _Hostile, _page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.begin(200, {"Content-Length": "1000000", "ETag": f'"{_ETAG}"'})
    server.endless(b" ", server.store.drip_seconds)


def _drips_headers(server: _Hostile, _page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    server.endless(b"x", server.store.drip_seconds)


def _endless_page(server: _Hostile, _page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.begin()
    server.endless(_MIB)


def _endless_headers(server: _Hostile, _page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.wfile.write(b"HTTP/1.1 200 OK\r\n")
    server.endless(b"X-A: " + b"x" * 1000 + b"\r\n")


def _endless_listing(server: _Hostile, page: _Page, _key: str, query: dict[str, str]) -> None:
    number = int(_behind(query) or 0) + 1
    keys = [f"{number:09d}"] if page is _swift_page else [f"{number:09d}-{each:04d}" for each in range(1000)]
    server.whole(page(keys, "true", f"{number:09d}"))


def _same_token(server: _Hostile, page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.whole(page(MANY[:1000], "true", "again"))


def _first_page(server: _Hostile, page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.whole(page(MANY[:1000], "true"))


def _first_version(server: _Hostile, page: _Page, _key: str, query: dict[str, str]) -> None:
    keys = _pages_of(MANY, query, ("marker",))
    server.whole(page(keys, "true" if keys and keys[-1] != MANY[-1] else "false"))


def _says_whole(server: _Hostile, page: _Page, _key: str, query: dict[str, str]) -> None:
    server.whole(page(_pages_of(MANY, query, ("start-after", "marker")), "false"))


def _one_large_page(server: _Hostile, page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.whole(page(MANY, "false"))


def _cut_off(server: _Hostile, page: _Page, _key: str, _query: dict[str, str]) -> None:
    body = page(MANY[:1000])
    server.begin()
    server.wfile.write(body[: len(body) // 2])


def _unfolds(server: _Hostile, page: _Page, _key: str, _query: dict[str, str]) -> None:
    server.whole(b"[" + b"{}," * 3_000_000 + b"{}]" if page is _swift_page else b"<a>" + b"<b/>" * 2_000_000 + b"</a>")


def _redirects(server: _Hostile, _page: _Page, key: str, query: dict[str, str]) -> None:
    server.whole(b"", 302, {"Location": f"{server.store.inside}/{key}?{'&'.join(query)}"})


def _redirects_objects(server: _Hostile, page: _Page, key: str, query: dict[str, str]) -> None:
    if key:
        return _redirects(server, page, key, query)
    return server.whole(page(_pages_of(["a"], query, ("marker", "start-after"))))


def _larger(server: _Hostile, page: _Page, key: str, query: dict[str, str]) -> None:
    if not key:
        return server.whole(page(_pages_of(["a"], query, ("marker", "start-after"))))
    server.begin(200, {"ETag": f'"{_ETAG}"'})
    return server.endless(_MIB)


def _fails_endlessly(server: _Hostile, page: _Page, key: str, query: dict[str, str]) -> None:
    if not key:
        return server.whole(page(_pages_of(["a"], query, ("marker", "start-after")), size=2**40))
    server.begin(400)
    return server.endless(_MIB)


def _dripping_object(server: _Hostile, page: _Page, key: str, query: dict[str, str]) -> None:
    if not key:
        return server.whole(page(_pages_of(["a"], query, ("marker", "start-after")), size=1_000_000))
    return _drips(server, page, key, query)


_WAYS: dict[str, _Way] = {
    "drips": _drips,
    "drips-headers": _drips_headers,
    "endless-page": _endless_page,
    "endless-headers": _endless_headers,
    "endless-listing": _endless_listing,
    "same-token": _same_token,
    "first-page": _first_page,
    "first-version": _first_version,
    "says-whole": _says_whole,
    "one-large-page": _one_large_page,
    "cut-off": _cut_off,
    "unfolds": _unfolds,
    "redirects": _redirects,
    "redirects-objects": _redirects_objects,
    "larger": _larger,
    "fails-endlessly": _fails_endlessly,
    "dripping-object": _dripping_object,
}
