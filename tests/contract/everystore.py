"""Every adapter of the port to object stores, and what the tests of all of them do with it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from memorystore import MemoryStore
from storeservers import Bucket

from trainyard.domain.digest import MIB
from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, Multipart, Store, StoreError

NOBODY = Credentials("", "")
LARGE = bytes(range(256)) * (40 * MIB // 256) + b"the end"


@dataclass(frozen=True)
class InMemory(Bucket):
    """The store that other tests use in the place of a real one: it has to be like one."""

    memory: MemoryStore = field(default_factory=MemoryStore)

    def open(self, ref: StoreRef | None = None, credentials: Credentials | None = None) -> Store:
        store = MemoryStore()
        store.contents = self.memory.contents
        store.there = (ref or self.ref).bucket == self.ref.bucket
        store.place = f"bucket {(ref or self.ref).bucket} at {self.ref.endpoint}"
        return store


@pytest.fixture(params=["s3", pytest.param("swift", marks=pytest.mark.swiftcloud), "folder", "memory"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param == "memory":
        ref = StoreRef("memory", "bucket", "http://nowhere")
        return InMemory(ref, NOBODY, {}, ref, NOBODY)
    if request.param == "folder":
        (tmp_path / "bucket").mkdir()
        ref = StoreRef("folder", "bucket", tmp_path.as_uri())
        return Bucket(ref, NOBODY, {"TRAINYARD_FOLDER_STORES": str(tmp_path)}, ref, NOBODY)
    found: Bucket = request.getfixturevalue(request.param)
    # What the server of the tests takes as one object is smaller than what a Swift takes that nobody told otherwise.
    return replace(found, options={**found.options, "TRAINYARD_SWIFT_SEGMENT_BYTES": "16MiB"})


@pytest.fixture
def store(bucket: Bucket) -> Store:
    return bucket.open()


@pytest.fixture
def remote(bucket: Bucket) -> Bucket:
    if bucket.ref.kind in ("folder", "memory"):
        pytest.skip("it has no credentials and no network")
    return bucket


@pytest.fixture
def parted(bucket: Bucket) -> Store:
    """The bucket, where it takes files in parts."""
    if bucket.ref.kind in ("folder", "memory"):
        pytest.skip("it takes files whole")
    return bucket.open()


def begin(store: Store, key: str, resume: bool = True) -> Multipart:
    begun = store.in_parts(key, len(LARGE), resume)
    assert begun is not None
    return begun


def pieces(part: int) -> list[bytes]:
    return [LARGE[start : start + part] for start in range(0, len(LARGE), part)]


def put(store: Store, key: str, content: bytes = b"content") -> Entry:
    return store.put(key, io.BytesIO(content), len(content))


def get(store: Store, key: str) -> bytes:
    into = io.BytesIO()
    store.get(key, into)
    return into.getvalue()


DEEDS: dict[str, Callable[[Store], object]] = {
    "list": lambda store: list(store.list()),
    "get": lambda store: get(store, "a"),
    "read": lambda store: store.read(Entry("a", 7, "", None), 0, 7, io.BytesIO()),
    "put": lambda store: put(store, "a"),
    "delete": lambda store: store.delete("a"),
}


def refused(store: Store, action: str = "list") -> StoreError:
    with pytest.raises(StoreError) as caught:
        DEEDS[action](store)
    return caught.value
