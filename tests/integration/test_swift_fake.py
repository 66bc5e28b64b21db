"""What only Swift has: Keystone's refusals, large objects, folders that are objects, tokens that expire."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import pytest
from storeservers import Bucket
from swiftfake import SwiftObject, SwiftServer

from trainyard.domain.training import StoreRef
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.swift import SwiftStore, keystone_url
from trainyard.stores.transfer import Source, download, upload


def refused(bucket: Bucket, ref: StoreRef) -> StoreError:
    with pytest.raises(StoreError) as caught:
        list(bucket.open(ref).list())
    return caught.value


@pytest.mark.parametrize("wrong", [{"domain": "other"}, {"project": "other"}, {"domain": None}])
def test_a_wrong_domain_or_project_is_refused_as_wrong_credentials(swift: Bucket, wrong: dict[str, str]) -> None:
    error = refused(swift, replace(swift.ref, **wrong))  # type: ignore[arg-type]
    assert (error.why, error.code.code) == (Why.CREDENTIALS, "C103")
    assert "domain and project" in error.cure


def test_an_unknown_region_is_named(swift: Bucket) -> None:
    error = refused(swift, replace(swift.ref, region="atlantis"))
    assert (error.why, error.code.code) == (Why.NO_BUCKET, "C103")
    assert "there is no object store for region atlantis" in error.message


def test_without_a_region_the_first_one_is_taken(swift: Bucket) -> None:
    assert list(swift.open(replace(swift.ref, region=None)).list()) == []


def test_an_address_without_keystone_is_refused(swift: Bucket, swift_server: SwiftServer) -> None:
    error = refused(swift, replace(swift.ref, endpoint=f"{swift_server.root}/elsewhere"))
    assert "no Keystone v3 answers there" in error.message


@pytest.mark.parametrize("given", ["https://id.example.com", "https://id.example.com/", "https://id.example.com/v3/"])
def test_the_version_of_keystone_may_be_in_its_address(given: str) -> None:
    assert keystone_url(given) == "https://id.example.com/v3"


def test_objects_that_stand_for_folders_are_left_out(swift: Bucket, swift_server: SwiftServer) -> None:
    objects = swift_server.containers[swift.ref.bucket]
    objects["folder"] = SwiftObject(b"", "application/directory")
    objects["other/"] = SwiftObject(b"")
    objects["folder/a"] = SwiftObject(b"1")
    assert [entry.key for entry in swift.open().list()] == ["folder/a"]


def test_a_dynamic_large_object_is_listed_with_its_real_size_and_read(
    swift: Bucket, swift_server: SwiftServer, tmp_path: object
) -> None:
    swift_server.containers[swift.ref.bucket]["large"] = SwiftObject(b"x" * 5000, dlo="segments/large")
    store = swift.open()
    (entry,) = store.list()
    assert (entry.size, entry.md5) == (5000, None)
    download(store, [entry], tmp_path / "target", 1, lambda text: None)  # type: ignore[operator]
    assert (tmp_path / "target/large").read_bytes() == b"x" * 5000  # type: ignore[operator]


def test_what_is_too_large_for_one_object_goes_in_segments(swift: Bucket, swift_server: SwiftServer) -> None:
    content = bytes(range(256)) * 10
    store = swift.open()
    assert isinstance(store, SwiftStore)
    store.segmented = store.segment = 1000
    upload(store, [Source("large", len(content), lambda: io.BytesIO(content))], "", 1, lambda text: None)
    segments = swift_server.containers[f"{swift.ref.bucket}_segments"]
    assert [len(segments[name].content) for name in sorted(segments)] == [1000, 1000, 560]
    into = io.BytesIO()
    assert store.get("large", into) == next(iter(store.list()))
    assert into.getvalue() == content


def test_a_token_that_has_expired_is_replaced(swift: Bucket, swift_server: SwiftServer) -> None:
    store = swift.open()
    store.put("a", io.BytesIO(b"1"), 1)
    swift_server.tokens.clear()
    assert list(store.list()) == [Entry("a", 1, *[hashlib.md5(b"1").hexdigest()] * 2)]


def test_threads_share_one_sign_in(swift: Bucket, swift_server: SwiftServer) -> None:
    store = swift.open()
    list(store.list())
    swift_server.requests.clear()
    sources = [Source(str(number), 1, lambda: io.BytesIO(b"x")) for number in range(20)]
    upload(store, sources, "", 4, lambda text: None)
    assert not [request for request in swift_server.requests if "auth/tokens" in request]
