"""The dataset cache before an S3 server that lets a key list its bucket and read nothing of it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from storeservers import Bucket

from trainyard.stores.base import StoreError, Why
from trainyard.workspace.datasets import Dataset, DatasetCache
from trainyard.workspace.layout import Workspace

_REFUSAL = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


class _Gate(BaseHTTPRequestHandler):
    """Passes requests on to the real server, but those for an object's content."""

    protocol_version = "HTTP/1.1"
    server_at: str

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if len(urlsplit(self.path).path.strip("/").split("/")) > 1:
            self._answer(403, {"Content-Type": "application/xml"}, _REFUSAL)
            return
        connection = http.client.HTTPConnection(self.server_at)
        connection.request("GET", self.path, headers=dict(self.headers))
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() == "content-type"}
        self._answer(answer.status, kept, answer.read())
        connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def gate_before(endpoint: str) -> Iterator[str]:
    handler = type("Gate", (_Gate,), {"server_at": urlsplit(endpoint).netloc})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_key_that_may_only_list_gets_nothing_of_what_another_key_downloaded(s3: Bucket, tmp_path: Path) -> None:
    store = s3.open()
    for key, content in {"train/1": b"secret", "labels": b"01"}.items():
        path = tmp_path / "one"
        path.write_bytes(content)
        with path.open("rb") as file:
            store.put(key, file, len(content))
    cache = DatasetCache(Workspace(tmp_path / "workspace"))

    def obtain(user: str, endpoint: str) -> Dataset:
        # The bucket is the same; only the way to it differs.
        return cache.obtain(s3.ref, s3.open(replace(s3.ref, endpoint=endpoint)), user, 2, lambda text: None)

    assert obtain("training-a", s3.ref.endpoint).downloaded_bytes == 8
    assert obtain("training-b", s3.ref.endpoint).hit
    with (
        gate_before(s3.ref.endpoint) as endpoint,
        pytest.raises(StoreError, match="not allowed to read from") as caught,
    ):
        obtain("training-c", endpoint)
    assert (caught.value.why, caught.value.code.code) == (Why.FORBIDDEN, "C103")
    assert cache.held("training-c") is None
    assert [found.users for found in cache.cached()] == [("training-a", "training-b")]
