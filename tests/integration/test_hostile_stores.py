"""Stores that mean harm, of either kind: what they answer is whole and right, or an error that comes soon."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Timer
from typing import Any

import pytest
from hostilestore import CONTENT, MANY, HostileStore
from storeservers import wait_for

from trainyard.domain.addresses import ANYWHERE, AddressPolicy
from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, Store, StoreError, Why
from trainyard.stores.network.call import given_up_by
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.swift.adapter import SwiftStore

SOON = NetworkLimits(ANYWHERE, call_seconds=1.0, listing_seconds=5.0)
NOBODY = Credentials("u", "not a secret")
# Honest work takes less; anything without an end would take all there is.
GROWTH_MB = 200


@pytest.fixture
def inside() -> Iterator[HostileStore]:
    """What stands for a service behind the walls."""
    with HostileStore() as there:
        yield there


@pytest.fixture
def hostile(inside: HostileStore) -> Iterator[HostileStore]:
    with HostileStore(inside.url) as there:
        yield there


@pytest.fixture(params=["s3", "swift"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def store_of(kind: str, hostile: HostileStore, bucket: str, limits: NetworkLimits = SOON, place: str = "") -> Store:
    return store_at(kind, f"{hostile.url}{place}", bucket, limits)


def store_at(kind: str, url: str, bucket: str, limits: NetworkLimits) -> Store:
    if kind == "s3":
        return S3Store(StoreRef("s3", bucket, url), NOBODY, limits=limits)
    return SwiftStore(StoreRef("bluemix_objectstore", bucket, url, "r", "d", "p"), NOBODY, limits=limits)


def refused(work: Any) -> StoreError:
    with pytest.raises(StoreError) as caught:
        work()
    return caught.value


def only(hostile: HostileStore, *others: str) -> NetworkLimits:
    """Let a store be where this one is, and nowhere else inside."""
    ports = tuple(int(url.rpartition(":")[2]) for url in (hostile.url, *others))
    return replace(SOON, addresses=AddressPolicy(internal=tuple(("127.0.0.1", port) for port in ports)))


class TestTime:
    @pytest.mark.parametrize("bucket", ["drips", "drips-headers"])
    def test_a_listing_that_drips_is_given_up(self, kind: str, hostile: HostileStore, bucket: str) -> None:
        assert refused(lambda: list(store_of(kind, hostile, bucket).list())).why is Why.STALLED
        wait_for(lambda: hostile.waiting == 0)

    def test_an_object_that_drips_is_given_up(self, kind: str, hostile: HostileStore) -> None:
        store = store_of(kind, hostile, "dripping-object")
        (listed,) = store.list()
        assert refused(lambda: store.read(listed, 0, listed.size, io.BytesIO())).why is Why.STALLED
        assert refused(lambda: store.read(listed, 0, 1000, io.BytesIO())).why in (Why.STALLED, Why.BROKEN)
        assert refused(lambda: store.get("a", io.BytesIO())).why is Why.STALLED
        wait_for(lambda: hostile.waiting == 0)

    def test_a_keystone_that_drips_is_given_up(self, hostile: HostileStore) -> None:
        store = store_of("swift", hostile, "any", place="/drips")
        assert refused(lambda: list(store.list())).why is Why.STALLED

    @pytest.mark.parametrize("bucket", ["drips", "drips-headers"])
    def test_what_nobody_waits_for_any_more_ends(self, kind: str, hostile: HostileStore, bucket: str) -> None:
        gone = Event()
        patient = replace(SOON, call_seconds=600.0)
        timer = Timer(0.3, gone.set)
        timer.start()
        with given_up_by(gone):
            assert refused(lambda: list(store_of(kind, hostile, bucket, patient).list())).why is Why.STALLED
        timer.join()

    def test_pages_that_come_slowly_are_not_waited_for_longer_than_a_listing_may_take(
        self, kind: str, hostile: HostileStore
    ) -> None:
        limits = replace(SOON, listing_seconds=0.01)
        assert refused(lambda: list(store_of(kind, hostile, "endless-listing", limits).list())).why is Why.STALLED


class TestListings:
    def test_one_without_an_end_is_refused(self, kind: str, hostile: HostileStore) -> None:
        limits = replace(SOON, max_keys=3500, max_pages=50)
        found: list[Entry] = []
        error = refused(lambda: found.extend(store_of(kind, hostile, "endless-listing", limits).list()))
        assert (error.why, error.code.code) == (Why.UNTRUSTED, "C114")
        assert len(found) <= 3500

    @pytest.mark.parametrize("bucket", ["same-token", "first-page"])
    def test_one_that_comes_back_to_where_it_was_is_refused(
        self, kind: str, hostile: HostileStore, bucket: str
    ) -> None:
        assert refused(lambda: list(store_of(kind, hostile, bucket).list())).why is Why.UNTRUSTED

    @pytest.mark.parametrize("bucket", ["first-version", "says-whole", "one-large-page"])
    def test_one_that_says_too_little_or_something_wrong_of_its_pages_is_whole_all_the_same(
        self, hostile: HostileStore, bucket: str
    ) -> None:
        assert [entry.key for entry in store_of("s3", hostile, bucket).list()] == MANY

    def test_one_begins_behind_a_key(self, kind: str, hostile: HostileStore) -> None:
        bucket = "says-whole" if kind == "s3" else "first-version"
        assert [entry.key for entry in store_of(kind, hostile, bucket).list(after=MANY[1500])] == MANY[1501:]

    def test_one_that_is_cut_off_is_an_error(self, kind: str, hostile: HostileStore) -> None:
        assert refused(lambda: list(store_of(kind, hostile, "cut-off").list())).why in (
            Why.UNTRUSTED,
            Why.BROKEN,
            Why.NO_BUCKET,
        )


class TestKeystone:
    @pytest.mark.parametrize("place", ["/list", "/no-token", "/odd-catalog", "/no-moment", "/number"])
    @pytest.mark.parametrize("action", ["read", "get", "put", "list"])
    def test_an_answer_of_another_shape_is_the_stores_fault_whatever_it_is_signed_in_for(
        self, hostile: HostileStore, place: str, action: str
    ) -> None:
        store = store_of("swift", hostile, "any", place=place)
        actions: dict[str, Any] = {
            "read": lambda: store.read(Entry("a", 5, ""), 0, 5, io.BytesIO()),
            "get": lambda: store.get("a", io.BytesIO()),
            "put": lambda: store.put("a", io.BytesIO(CONTENT), 5),
            "list": lambda: list(store.list()),
        }
        assert refused(actions[action]).why in (Why.UNTRUSTED, Why.NO_BUCKET)

    def test_what_the_file_raises_that_is_written_to_is_not_the_stores(self, hostile: HostileStore) -> None:
        closed = io.BytesIO()
        closed.close()
        with pytest.raises(ValueError, match="closed file"):
            store_of("swift", hostile, "status-200-hello").get("a", closed)


class TestSwiftRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "word"),
        [
            ("413-Upload exceeds quota.", "C103", "quota"),
            ("413-Your request is too large.", "C103", "larger than"),
            ("507", "C103", "no room"),
            ("501", "C103", "support"),
            ("429", "S302", "fewer requests"),
            ("498", "S302", "fewer requests"),
            ("405", "C103", "not allowed"),
            ("403", "C103", "not allowed"),
            ("400", "S302", "could not"),
        ],
    )
    def test_a_status_is_named_with_what_it_means(
        self, hostile: HostileStore, status: str, code: str, word: str
    ) -> None:
        error = refused(lambda: store_of("swift", hostile, f"status-{status}").put("a", io.BytesIO(CONTENT), 5))
        assert error.code.code == code
        assert word in error.message
        assert status[:3] in error.message
        assert error.hint


class TestAddresses:
    @pytest.mark.parametrize("bucket", ["redirects", "redirects-objects"])
    def test_redirects_are_not_followed(
        self, kind: str, hostile: HostileStore, inside: HostileStore, bucket: str
    ) -> None:
        store = store_of(kind, hostile, bucket)
        listed = Entry("a", len(CONTENT), "")
        asked = [
            lambda: list(store.list()) if bucket == "redirects" else store.get("a", io.BytesIO()),
            lambda: store.get("a", io.BytesIO()),
            lambda: store.read(listed, 0, 5, io.BytesIO()),
            lambda: store.put("a", io.BytesIO(CONTENT), 5),
            lambda: store.delete("a"),
        ]
        assert {refused(each).why for each in asked} <= {Why.ADDRESS, Why.NO_BUCKET}
        assert inside.asked == []

    def test_the_catalogue_of_a_keystone_leads_nowhere_inside(
        self, hostile: HostileStore, inside: HostileStore
    ) -> None:
        store = store_of("swift", hostile, "first-version", only(hostile), "/inside")
        error = refused(lambda: list(store.list()))
        assert (error.why, error.code.code) == (Why.ADDRESS, "C114")
        assert inside.asked == []

    def test_only_the_port_that_is_allowed_is_connected_to(
        self, kind: str, hostile: HostileStore, inside: HostileStore
    ) -> None:
        assert refused(lambda: list(store_of(kind, inside, "first-version", only(hostile)).list())).why is Why.ADDRESS
        assert inside.asked == []
        there = store_of(kind, hostile, "first-version", replace(only(hostile), call_seconds=60.0))
        assert len(list(there.list())) == len(MANY)

    def test_a_name_is_judged_by_what_it_is_connected_to(
        self, kind: str, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = int(hostile.url.rpartition(":")[2])
        answers = iter(["203.0.113.5", "127.0.0.1"])  # as of a server of names that is the attacker's
        asked: list[str] = []

        def resolved(host: str, *_: object, **__: object) -> list[Any]:
            asked.append(host)
            return [(2, 1, 6, "", (next(answers, "127.0.0.1"), port))]

        limits = replace(SOON, addresses=AddressPolicy())
        store = store_at(kind, f"http://rebinds.example:{port}", "first-version", limits)
        monkeypatch.setattr("socket.getaddrinfo", resolved)
        for _ in range(2):
            assert refused(lambda: list(store.list())).why in (Why.ADDRESS, Why.UNREACHABLE, Why.STALLED)
        assert hostile.asked == []


def test_an_object_of_more_bytes_than_listed_is_not_read_to_its_end(kind: str, hostile: HostileStore) -> None:
    store, into = store_of(kind, hostile, "larger"), io.BytesIO()
    (listed,) = store.list()
    assert refused(lambda: store.read(listed, 0, listed.size, into)).why in (Why.BROKEN, Why.UNTRUSTED)
    assert len(into.getvalue()) <= listed.size


@pytest.mark.parametrize("bucket", ["endless-page", "endless-headers", "unfolds", "fails-endlessly", "larger"])
def test_no_answer_takes_much_memory(kind: str, hostile: HostileStore, bucket: str) -> None:
    program = f"""
import io, resource, sys
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.base import Entry, StoreError
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.{kind}.adapter import {"S3Store" if kind == "s3" else "SwiftStore"} as Adapter
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
ref = StoreRef("x", {bucket!r}, {hostile.url!r}, "r", "d", "p")
store = Adapter(ref, Credentials("u", "p"), limits=NetworkLimits(ANYWHERE, 20.0, 20.0))
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
class Nowhere:
    def write(self, data): return len(data)
def list_and_read():
    for entry in store.list():
        store.read(entry, 0, entry.size, Nowhere())
for work in (lambda: list(StoreRef("a", "b", "c").bucket), list_and_read):
    before = peak()
    try:
        work()
    except StoreError as error:
        print(error.why)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    why, growth = done.stdout.split()
    assert why in (Why.UNTRUSTED, Why.BROKEN, Why.UNREACHABLE), done.stdout
    assert int(growth) < GROWTH_MB
