"""`trainyard data` and `client.data`: only what is new is sent, over a service that fails."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from memorystore import MemoryStore

from trainyard.client.access import Access
from trainyard.client.client import Client
from trainyard.client.data import Data, Place
from trainyard.client.errors import WrongUsageError
from trainyard.client.rest import RestClient
from trainyard.domain.digest import multipart_etag
from trainyard.errors import TrainyardError

pytest_plugins = ["cli_front_door"]


@dataclass
class Service:
    """A service that keeps stores, with one bucket."""

    url: str = ""
    stores: list[tuple[str, str | None]] = field(default_factory=lambda: [("local", "vision"), ("mine", None)])
    bucket: MemoryStore = field(default_factory=MemoryStore)
    etags: dict[str, str] = field(default_factory=dict)
    """Of objects that were stored in parts, of which no digest is known."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """What the next puts are refused with."""
    page: int = 2
    arrived: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_): ...

    def do_GET(self):
        path, query = self._place()
        if path == "/v3/stores":
            rows = [{"name": name, "account": account, "endpoint_url": "", "region": ""} for name, account in
                    self.service.stores]  # fmt: skip
            return self._answer(200, {"resources": rows, "total": len(rows)})
        rows = [
            {"key": one.key, "size": one.size, "etag": self.service.etags.get(one.key, one.etag),
             "md5": None if one.key in self.service.etags else one.md5}
            for one in self.service.bucket.list(query.get("prefix", ""), query.get("continuation", ""))
        ]  # fmt: skip
        shown = rows[: self.service.page]
        more = shown[-1]["key"] if len(rows) > len(shown) else None
        return self._answer(200, {"store": "", "bucket": "", "resources": shown, "continuation": more})

    def do_PUT(self):
        path, _ = self._place()
        size = int(self.headers["Content-Length"])
        self.service.arrived.set()
        body = self.rfile.read(size)
        if self.service.refusals:
            status, code = self.service.refusals.pop(0)
            error = {"code": code, "message": "no", "hint": "", "problems": []}
            return self._answer(status, {"error": error})
        if len(body) < size:
            return None
        assert base64.b64decode(self.headers["Content-MD5"]) == hashlib.md5(body).digest()
        key = path.split("/", 6)[6]
        self.service.bucket.contents[key] = body
        return self._answer(200, {"key": key, "size": size})

    def do_DELETE(self):
        path, _ = self._place()
        self.service.bucket.contents.pop(path.split("/", 6)[6], None)
        return self._answer(204, None)

    def _place(self):
        parts = urlsplit(self.path)
        self.service.asked.append((self.command, self.path))
        return unquote(parts.path), {key: value[0] for key, value in parse_qs(parts.query).items()}

    def _answer(self, status, body):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def service():
    made = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": made}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def data(service):
    with RestClient(Access(service.url, token="good")) as client:
        yield Data(client)


def _sent(service):
    return [unquote(path.rpartition("/")[2]) for verb, path in service.asked if verb == "PUT"]


def _folder(tmp_path, **files):
    for name, content in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


class TestPlaces:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("digits", Place("local", "digits")),
            ("digits/a/b/", Place("local", "digits", "a/b/")),
            ("mine/digits", Place("mine", "digits")),
            ("mine/digits/ü 1", Place("mine", "digits", "ü 1/")),
            ("mine", Place("local", "mine")),
        ],
    )
    def test_a_store_that_is_kept_comes_first_and_else_local_is_meant(self, data, text, place):
        assert data.place(text) == place

    def test_the_only_store_needs_no_name_and_of_several_one_does(self, data, service):
        service.stores = [("mine", None)]
        assert data.place("digits").store == "mine"
        service.stores = [("mine", None), ("yours", None)]
        with pytest.raises(WrongUsageError, match="which of your stores"):
            data.place("digits")
        service.stores = []
        with pytest.raises(WrongUsageError, match="no store is kept"):
            data.place("digits")

    @pytest.mark.parametrize("text", ["", "/digits", "mine//", "digits//a", "digits/../a", "digits/a\nb"])
    def test_what_names_no_place_is_wrong_usage(self, data, text):
        with pytest.raises(WrongUsageError):
            data.place(text)


class TestPut:
    def test_a_folder_becomes_objects_and_what_is_the_same_is_not_sent_again(self, data, service, tmp_path):
        folder = _folder(tmp_path, **{"a": b"1", "b/ü c": b"22", "empty": b""})
        first = data.put(folder, "digits/day")
        assert service.bucket.contents == {"day/a": b"1", "day/b/ü c": b"22", "day/empty": b""}
        assert (first.files, first.sent_files, first.sent_bytes) == (3, 3, 3)
        (folder / "a").write_bytes(b"2")
        again = data.put(folder, "digits/day")
        assert (again.files, again.sent_files) == (3, 1)
        assert service.bucket.contents["day/a"] == b"2"

    def test_one_that_was_stored_in_parts_is_known_by_its_parts(self, data, service, tmp_path):
        folder = _folder(tmp_path, a=b"x" * 1000)
        service.bucket.contents["a"] = b"x" * 1000
        with (folder / "a").open("rb") as file:
            service.etags["a"] = multipart_etag(file, 1000)
        assert data.put(folder, "digits").sent_files == 0
        service.etags["a"] = "0" * 32 + "-1"
        assert data.put(folder, "digits").sent_files == 1

    def test_what_passes_is_tried_again_with_the_whole_file(self, data, service, tmp_path):
        folder = _folder(tmp_path, a=b"x" * 100_000)
        service.refusals = [(429, "C115"), (503, "S306")]
        data.put(folder, "digits")
        assert service.bucket.contents["a"] == b"x" * 100_000
        assert _sent(service) == ["a", "a", "a"]

    def test_a_refusal_ends_it_and_the_next_put_goes_on(self, data, service, tmp_path):
        folder = _folder(tmp_path, **{f"f{number}": b"x" for number in range(20)})
        service.refusals = [(404, "C103")]
        with pytest.raises(TrainyardError) as refused:
            data.put(folder, "digits")
        assert refused.value.code.code == "C103"
        stored = len(service.bucket.contents)
        assert stored < 20
        assert data.put(folder, "digits").sent_files == 20 - stored

    def test_a_file_that_cannot_be_an_object_lets_none_be_sent(self, data, service, tmp_path):
        folder = _folder(tmp_path, a=b"1")
        (folder / "nowhere").symlink_to(folder / "gone")
        with pytest.raises(WrongUsageError, match="link to nothing"):
            data.put(folder, "digits")
        assert _sent(service) == []


class TestListAndRemove:
    def test_only_the_name_itself_and_what_is_below_it_is_meant(self, data, service):
        service.bucket.contents = dict.fromkeys(("a", "a/1", "a/2", "ab", "b"), b"x")
        assert [one.key for one in data.list("digits/a")] == ["a", "a/1", "a/2"]
        assert [one.key for one in data.list("digits")] == ["a", "a/1", "a/2", "ab", "b"]
        assert [one.key for one in data.remove("digits/a")] == ["a", "a/1", "a/2"]
        assert sorted(service.bucket.contents) == ["ab", "b"]


class TestCommands:
    def test_put_ls_and_rm_say_what_they_did(self, cli, service, tmp_path):
        folder = _folder(tmp_path, a=b"1" * 2048, b=b"2")
        asked = ("--url", service.url)
        done = cli("data", "put", str(folder), "digits/day", *asked)
        assert (done.code, done.err) == (0, "")
        assert "2 files, 2.0 KiB are in local/digits/day" in done.out
        again = cli("data", "put", str(folder), "digits/day", "-o", "json", *asked)
        assert (again.data["files"], again.data["sent_files"]) == (2, 0)
        listed = cli("data", "ls", "digits", *asked)
        assert "2.0 KiB   day/a" in listed.out
        assert "2 objects found" in listed.out
        asks = cli("data", "rm", "digits/day", *asked)
        assert (asks.code, len(service.bucket.contents)) == (2, 2)
        assert "--yes" in asks.err
        done = cli("data", "rm", "digits/day", "--yes", *asked)
        assert (done.code, service.bucket.contents) == (0, {})
        assert cli("data", "rm", "digits/day", "--yes", *asked).code == 1

    def test_python_does_the_same(self, service, tmp_path, home):
        client = Client(service.url, token="good")
        assert client.data.put(_folder(tmp_path, a=b"1"), "mine/digits").place == "mine/digits"
        assert [one.key for one in client.data.list("mine/digits")] == ["a"]
