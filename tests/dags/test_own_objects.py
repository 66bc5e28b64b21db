"""Objects in the stores that people keep, over the front door: whose they are, and how they arrive."""

from __future__ import annotations

import base64
import hashlib
import threading
from contextlib import suppress
from urllib.parse import quote

import httpx
import pytest
from accountsyard import yard as yard  # a fixture
from historyworld import world as world  # a fixture
from memorystore import MemoryStore
from rawhttp import Raw, served

from trainyard.core.objects import StoreObjects
from trainyard.stores.base import Entry

pytestmark = pytest.mark.xdist_group("airflow")

_KEPT = {
    "endpoint_url": "https://objects.example.com",
    "access_key_id": "AKIA5B1C0FFEE",
    "secret_access_key": "5b1c0ffee5b1c0ffee",
}
_AT = "/stores/team-data/objects/digits"


@pytest.fixture
def bucket():
    return MemoryStore()


@pytest.fixture
def door(yard, bucket):
    """A client of somebody, by name; ada keeps a store, whose bucket is in memory."""

    def client(name, role="user"):
        made = yard.client(name, role)
        state = made.app.state
        state.objects = StoreObjects(state.stores, lambda _connection, _bucket: bucket)
        return made

    assert client("ada").ask("PUT", "/stores/team-data", json=_KEPT).status_code == 200
    return client


def _put(client, key, content=b"content", **headers):
    return client.ask("PUT", f"{_AT}/{quote(key, safe='')}", content=content, headers=headers)


def _code(answer):
    return answer.json()["error"]["code"]


def test_an_object_is_stored_listed_and_removed_under_its_name(door, bucket):
    ada, digest = door("ada"), hashlib.md5(b"content")
    for key in ("a", "day/1/ü 日本 +%20&.bin", "q'\"(1)~"):
        stored = _put(ada, key, **{"Content-MD5": base64.b64encode(digest.digest()).decode()})
        assert (stored.status_code, bucket.contents) == (200, {key: b"content"})
        (listed,) = ada.get(_AT).json()["resources"]
        assert (listed["key"], listed["size"], listed["md5"]) == (key, 7, digest.hexdigest())
        assert ada.ask("DELETE", f"{_AT}/{quote(key, safe='')}").status_code == 204
        assert bucket.contents == {}


def test_a_listing_comes_page_by_page_below_a_prefix(door, bucket):
    bucket.contents = {f"a/{number}": b"" for number in range(5)} | {"b": b""}
    ada, found, after = door("ada"), [], ""
    while after is not None:
        page = ada.get(_AT, params={"prefix": "a/", "limit": 2, "continuation": after}).json()
        found += [one["key"] for one in page["resources"]]
        after = page["continuation"]
    assert found == [f"a/{number}" for number in range(5)]


def test_the_store_of_somebody_else_is_not_there_and_of_an_account_not_allowed(door, bucket):
    grace = door("grace")
    bucket.contents["a"] = b"x"
    asked = (grace.get(_AT), _put(grace, "b"), grace.ask("DELETE", f"{_AT}/a"))
    assert [answer.status_code for answer in asked] == [404] * 3
    assert grace.get(_AT, params={"account": "vision"}).status_code == 403
    assert bucket.contents == {"a": b"x"}


def test_what_no_object_can_be_called_and_what_does_not_have_its_digest_is_refused(door, bucket):
    ada = door("ada")
    refused = [_put(ada, key) for key in ("../a", "a/../b", "/a", "a//b", "a/", "a\tb", "x" * 256)]
    digests = ("no base64!", "c2hvcnQ=", base64.b64encode(b"x" * 16).decode())
    refused += [_put(ada, "a", **{"Content-MD5": digest}) for digest in digests]
    assert [(answer.status_code, _code(answer)) for answer in refused] == [(400, "C110")] * 10
    assert bucket.contents == {}


def test_who_did_what_is_recorded_without_the_keys(door):
    _put(door("ada"), "a")
    _put(door("grace"), "a")
    log = door("root", "admin").get("/audit")
    assert _KEPT["secret_access_key"] not in log.text
    assert _KEPT["access_key_id"] not in log.text
    events = log.json()["resources"]
    told = [(one["actor"], one["action"], one["result"], one["details"]) for one in events if "data" in one["action"]]
    assert ("ada", "data.put", "ok", {"store": "team-data", "bucket": "digits", "key": "a", "bytes": 7}) in told
    assert ("grace", "data.list", "refused", {"store": "team-data", "bucket": "digits"}) in told


class _Parts:
    """An object that arrives in parts of 1 MiB, and hears of each."""

    part = 1024 * 1024
    stored: dict[int, str] = {}  # noqa: RUF012 - as the port has it

    def __init__(self, bucket, key):
        self.bucket, self.key, self.parts = bucket, key, {}

    def put(self, number, data):
        self.parts[number] = bytes(data)
        self.bucket.heard.set()

    def finish(self):
        self.bucket.contents[self.key] = b"".join(self.parts[number] for number in sorted(self.parts))
        return Entry(self.key, len(self.bucket.contents[self.key]), "")

    def abort(self):
        self.bucket.aborted.set()


class _InParts(MemoryStore):
    def __init__(self):
        super().__init__()
        self.heard, self.aborted = threading.Event(), threading.Event()

    def in_parts(self, key, size, resume):
        return _Parts(self, key) if size > _Parts.part else None


class TestOverTheNetwork:
    @pytest.fixture
    def bucket(self):
        return _InParts()

    @pytest.fixture
    def address(self, door):
        ada = door("ada")
        with served(ada.app) as where:
            yield where, ada.headers["Authorization"]

    def test_a_large_one_arrives_in_parts(self, address, bucket):
        (host, port), token = address
        content = b"0123456789abcdef" * (5 * 1024 * 1024 // 16) + b"the end"
        sent = httpx.put(
            f"http://{host}:{port}{_AT}/large", content=content, headers={"Authorization": token}, timeout=30
        )
        assert (sent.status_code, sent.json()["size"]) == (200, len(content))
        assert bucket.contents["large"] == content

    def test_a_client_that_leaves_has_stored_nothing(self, address, bucket):
        where, token = address
        with suppress(OSError), Raw(where) as raw:
            raw.begin("PUT", f"{_AT}/large", Authorization=token, Content_Length=str(4 * _Parts.part))
            raw.send(b"x" * (_Parts.part + 1000))
            assert bucket.heard.wait(20)
        assert bucket.aborted.wait(20)
        assert bucket.contents == {}

    def test_what_is_too_large_is_refused_before_its_body(self, address, bucket):
        where, token = address
        with Raw(where) as raw:
            raw.begin("PUT", f"{_AT}/large", Authorization=token, Content_Length="9" * 15)
            assert b" 413 " in raw.answer()
        assert bucket.contents == {}
