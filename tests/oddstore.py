"""An S3 server on the loopback interface with the oddities of real ones: any refusal, objects without etags."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Answer:
    """A refusal, and which requests get it: those of these methods; of objects alone, or of the bucket too."""

    status: int
    code: str
    more: str = ""
    methods: tuple[str, ...] = ("GET", "PUT", "POST", "DELETE")
    objects_only: bool = False
    key: str = ""

    def fits(self, method: str, key: str) -> bool:
        return method in self.methods and bool(key or not self.objects_only) and self.key in ("", key)

    @property
    def body(self) -> bytes:
        return f"<Error><Code>{self.code}</Code>{self.more}</Error>".encode() if self.code else b""


@dataclass
class OddStore:
    """Serves one bucket of any name until it is left; `asked` is what it was asked for, with the range."""

    objects: dict[str, bytes] = field(default_factory=lambda: {"a.csv": b"1"})
    modified: dict[str, float] = field(default_factory=dict)
    etags: bool = True
    times: bool = True
    ranges: bool = True
    refuses: Answer | None = None
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> OddStore:
        handler = type("Handler", (_Odd,), {"store": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def headers_of(self, key: str) -> dict[str, str]:
        etag = {"ETag": f'"{hashlib.md5(self.objects[key]).hexdigest()}"'} if self.etags else {}
        moment = self._moment(key).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return {**etag, **({"Last-Modified": moment} if self.times else {})}

    def row_of(self, key: str) -> str:
        etag = f"<ETag>{self.headers_of(key)['ETag']}</ETag>" if self.etags else ""
        moment = f"<LastModified>{self._moment(key):%Y-%m-%dT%H:%M:%S}.000Z</LastModified>" if self.times else ""
        size = f"<Size>{len(self.objects[key])}</Size>"
        return f"<Contents><Key>{escape(quote(key))}</Key>{moment}{etag}{size}</Contents>"

    def _moment(self, key: str) -> datetime:
        return datetime.fromtimestamp(self.modified.get(key, 1_700_000_000), UTC)


class _Odd(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: OddStore

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        key, query = self._begin()
        if key is None:
            return
        if not key:
            rows = "".join(self.store.row_of(each) for each in sorted(self.store.objects) if self._listed(each, query))
            listed = f"<Name>b</Name><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{rows}"
            self._send(200, f"<ListBucketResult>{listed}</ListBucketResult>".encode())
        elif key not in self.store.objects:
            self._send(404, Answer(404, "NoSuchKey").body)
        else:
            self._send_object(key)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        key, _ = self._begin()
        if key is not None:
            self.store.objects[key] = data
            self._send(200, b"", self.store.headers_of(key))

    def do_DELETE(self) -> None:
        key, _ = self._begin()
        if key is not None:
            self.store.objects.pop(key, None)
            self._send(204, b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self._begin()[0] is not None:
            self._send(501, Answer(501, "NotImplemented").body)

    def _begin(self) -> tuple[str | None, dict[str, list[str]]]:
        url = urlsplit(self.path)
        key = unquote(url.path.lstrip("/").partition("/")[2])
        self.store.asked.append(f"{self.command} {key} {self.headers['Range'] or ''}".strip())
        refuses = self.store.refuses
        if refuses and refuses.fits(self.command, key):
            self._send(refuses.status, refuses.body)
            return None, {}
        return key, parse_qs(url.query, keep_blank_values=True)

    def _listed(self, key: str, query: dict[str, list[str]]) -> bool:
        return key.startswith(query.get("prefix", [""])[0]) and key > query.get("start-after", [""])[0]

    def _send_object(self, key: str) -> None:
        data, headers, wanted = self.store.objects[key], self.store.headers_of(key), self.headers["Range"]
        if not (wanted and self.store.ranges):
            self._send(200, data, headers)
            return
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        last = min(last, len(data) - 1)
        reported = {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self._send(206, data[first : last + 1], reported)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
