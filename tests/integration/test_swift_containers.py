"""Containers of a real Swift: markers of folders, pages of listings, quotas, half-sent files."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storeservers import Bucket
from swiftcloud.sharing import SwiftCloud
from wire import Wire

from trainyard.domain.digest import MIB
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.transfer import Source, download, upload


def quiet(text: str) -> None:
    pass


def refused(bucket: Bucket, key: str, content: bytes) -> StoreError:
    with pytest.raises(StoreError) as caught:
        bucket.open().put(key, io.BytesIO(content), len(content))
    return caught.value


@pytest.mark.parametrize("kind", ["application/directory", "application/x-directory", "httpd/unix-directory"])
def test_objects_that_stand_for_folders_are_left_out(swift: Bucket, swift_hands: Any, kind: str) -> None:
    name = swift.ref.bucket
    swift_hands.put_object(name, "folder", b"", content_type=kind)
    swift_hands.put_object(name, "other/", b"")
    swift_hands.put_object(name, "other/deep/", b"", content_type=kind)
    swift_hands.put_object(name, "folder/a", b"1")
    swift_hands.put_object(name, "empty", b"")
    swift_hands.put_object(name, "no-folder", b"22", content_type=kind)
    assert [(entry.key, entry.size) for entry in swift.open().list()] == [
        ("empty", 0),
        ("folder/a", 1),
        ("no-folder", 2),
    ]


def test_objects_of_many_pages_move_in_both_directions(swift: Bucket, tmp_path: Path) -> None:
    contents = {f"ünï {number % 7}/{number:05d}": f"{number}".encode() * 20 for number in range(160)}
    sources = [
        Source(key, len(content), lambda content=content: io.BytesIO(content))  # type: ignore[misc]
        for key, content in contents.items()
    ]
    store = swift.open()
    assert upload(store, sources, "", 8, quiet).moved_files == 160
    assert upload(store, sources, "", 8, quiet).moved_files == 0
    download(store, list(store.list()), tmp_path / "target", 8, quiet)
    found = {path.relative_to(tmp_path / "target").as_posix(): path.read_bytes() for path in tmp_path.rglob("0*")}
    assert found == contents
    assert len(list(store.list("ünï 3/"))) == 23


def test_a_full_container_is_told_with_its_hint(swift: Bucket, swift_hands: Any) -> None:
    swift_hands.post_container(swift.ref.bucket, {"X-Container-Meta-Quota-Bytes": "1000"})
    error = refused(swift, "large", bytes(2000))
    assert (error.why, error.code.code) == (Why.UNABLE, "C103")
    assert "quota" in error.message
    assert "quota" in error.hint


def test_what_is_too_large_for_the_store_is_told(swift: Bucket) -> None:
    error = refused(swift, "large", bytes(33 * MIB))
    assert (error.why, error.code.code) == (Why.UNABLE, "C103")
    assert "larger than an object" in error.message


def test_a_half_sent_file_is_no_object(swift: Bucket) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > MIB:
                raise ValueError("the disk is gone")
            return super().read(size)

    store = swift.open()
    with pytest.raises(ValueError, match="the disk is gone"):
        store.put("large", Breaking(bytes(3 * MIB)), 3 * MIB)
    assert list(store.list()) == []
    assert store.put("large", io.BytesIO(b"1"), 1) == Entry("large", 1, *[hashlib.md5(b"1").hexdigest()] * 2)


def test_an_object_that_goes_while_it_is_listed_is_left_out(swift: Bucket, swift_hands: Any) -> None:
    store = swift.open()
    for key in ("a", "b", "c"):
        store.put(key, io.BytesIO(b""), 0)
    listing = store.list()
    assert next(listing).key == "a"
    swift_hands.delete_object(swift.ref.bucket, "b")
    assert [entry.key for entry in listing] == ["c"]


def test_a_swift_that_is_gone_is_told_from_a_keystone_that_is_gone(
    swift: Bucket, swiftcloud: SwiftCloud, closed_port: int
) -> None:
    admin = swiftcloud.admin()
    region = f"region-{swift.ref.bucket}"
    admin.regions.create(region)
    gone = f"http://127.0.0.1:{closed_port}/v1/AUTH_%(project_id)s"
    endpoint = admin.endpoints.create(swiftcloud.service, gone, "public", region)
    try:
        with pytest.raises(StoreError) as caught:
            list(swift.open(replace(swift.ref, region=region)).list())
    finally:
        admin.endpoints.delete(endpoint)
        admin.regions.delete(region)
    assert (caught.value.why, caught.value.code.code) == (Why.UNREACHABLE, "S302")
    assert "no connection to its object store" in caught.value.message
    with pytest.raises(StoreError) as caught:
        list(swift.open(replace(swift.ref, endpoint=f"http://127.0.0.1:{closed_port}")).list())
    assert "no connection to Keystone" in caught.value.message


def test_a_piece_of_what_has_changed_since_it_was_listed_is_refused(swift: Bucket) -> None:
    store = swift.open()
    listed = store.put("a", io.BytesIO(b"0123456789"), 10)
    into = io.BytesIO()
    assert store.read(listed, 3, 4, into) == listed
    assert into.getvalue() == b"3456"
    store.put("a", io.BytesIO(b"9876543210"), 10)
    with pytest.raises(StoreError) as caught:
        store.read(listed, 3, 4, into)
    assert (caught.value.why, caught.value.code.code) == (Why.CHANGED, "S302")


def test_a_piece_that_breaks_off_is_told(wired: Bucket, wire: Wire) -> None:
    store = wired.open()
    listed = store.put("a", io.BytesIO(bytes(8 * MIB)), 8 * MIB)
    wire.cut(after=MIB, times=10)
    with pytest.raises(StoreError) as caught:
        store.read(listed, 1, 7 * MIB, io.BytesIO())
    assert (caught.value.why, caught.value.code.code) == (Why.BROKEN, "S302")
