"""Swift's large objects: written in segments, read whichever way they were made, and gone with all their segments."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from storeservers import Bucket
from swiftclient import ClientException
from wire import Wire

from trainyard.stores.base import StoreError, Why
from trainyard.stores.swift.adapter import SwiftStore
from trainyard.stores.swift.upload import SwiftUpload
from trainyard.stores.transfer import Source, download, upload

SEGMENT = 1000
CONTENT = bytes(range(256)) * 10


def quiet(text: str) -> None:
    pass


@pytest.fixture
def store(swift: Bucket) -> SwiftStore:
    store = replace(swift, options={"TRAINYARD_SWIFT_SEGMENT_BYTES": str(SEGMENT)}).open()
    assert isinstance(store, SwiftStore)
    return store


class Hands:
    """What lies in the bucket and in its container of segments, as Swift itself reports it."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client, self.bucket, self.segments = client, bucket, f"{bucket}_segments"

    def lay(self, container: str, key: str, content: bytes = b"", **options: Any) -> str:
        self.client.put_container(container)
        etag: str = self.client.put_object(container, key, content, **options)
        return etag

    def lay_static(self, key: str, parts: Iterable[dict[str, Any]]) -> None:
        self.lay(self.bucket, key, json.dumps(list(parts)).encode(), query_string="multipart-manifest=put")

    def lie_in(self, container: str) -> dict[str, int]:
        if container not in {item["name"] for item in self.client.get_account(full_listing=True)[1]}:
            return {}
        listed = self.client.get_container(container, full_listing=True)[1]
        return {item["name"]: item["bytes"] for item in listed}


@pytest.fixture
def hands(swift: Bucket, swift_hands: Any) -> Hands:
    return Hands(swift_hands, swift.ref.bucket)


def put(store: SwiftStore, key: str, content: bytes) -> Any:
    return store.put(key, io.BytesIO(content), len(content))


def get(store: SwiftStore, key: str) -> bytes:
    into = io.BytesIO()
    store.get(key, into)
    return into.getvalue()


def test_what_is_larger_than_a_segment_goes_in_segments(store: SwiftStore, hands: Hands) -> None:
    stored = put(store, "model/wei ghts.bin", CONTENT)
    sizes = hands.lie_in(hands.segments)
    assert [sizes[name] for name in sorted(sizes)] == [1000, 1000, 560]
    assert all(name.startswith("model/wei ghts.bin/slo/") for name in sizes)
    assert list(store.list()) == [stored]
    assert store.get("model/wei ghts.bin", io.BytesIO()) == stored
    assert get(store, "model/wei ghts.bin") == CONTENT


def test_what_fits_a_segment_is_one_plain_object(store: SwiftStore, hands: Hands) -> None:
    assert put(store, "a", CONTENT[:SEGMENT]).md5 == hashlib.md5(CONTENT[:SEGMENT]).hexdigest()
    assert hands.lie_in(hands.bucket) == {"a": SEGMENT}
    assert hands.lie_in(hands.segments) == {}


def test_the_etag_is_the_digest_of_the_segments_digests(store: SwiftStore) -> None:
    digests = "".join(hashlib.md5(CONTENT[start : start + SEGMENT]).hexdigest() for start in (0, 1000, 2000))
    stored = put(store, "large", CONTENT)
    assert (stored.etag, stored.md5) == (hashlib.md5(digests.encode()).hexdigest(), None)


def test_a_large_file_is_uploaded_verified_and_downloaded(store: SwiftStore, tmp_path: Path) -> None:
    upload(store, [Source("large", len(CONTENT), lambda: io.BytesIO(CONTENT))], "", 1, quiet)
    download(store, list(store.list()), tmp_path / "target", 1, quiet)
    assert (tmp_path / "target/large").read_bytes() == CONTENT


@pytest.mark.parametrize("key", ["ünï/日本語.bin", "perc%20ent", "/".join(["x" * 250] * 4)])
def test_segments_of_any_key_are_stored_and_deleted(store: SwiftStore, hands: Hands, key: str) -> None:
    put(store, key, CONTENT)
    assert get(store, key) == CONTENT
    store.delete(key)
    assert (hands.lie_in(hands.bucket), hands.lie_in(hands.segments)) == ({}, {})


@pytest.mark.parametrize("after", [CONTENT[::-1], b"small", b""])
def test_replacing_a_large_object_removes_its_segments(store: SwiftStore, hands: Hands, after: bytes) -> None:
    put(store, "a", CONTENT)
    before = set(hands.lie_in(hands.segments))
    put(store, "a/b", CONTENT)
    put(store, "a", after)
    assert (get(store, "a"), get(store, "a/b")) == (after, CONTENT)
    left = set(hands.lie_in(hands.segments))
    assert not before & left
    assert len(left) == (6 if after else 3) - (3 if after == b"small" else 0)


def test_deleting_a_large_object_deletes_its_segments_and_no_others(store: SwiftStore, hands: Hands) -> None:
    put(store, "a", CONTENT)
    put(store, "a/b", CONTENT)
    store.delete("a")
    assert set(hands.lie_in(hands.bucket)) == {"a/b"}
    assert get(store, "a/b") == CONTENT


def test_a_failed_upload_leaves_nothing_and_what_was_there_before(store: SwiftStore, hands: Hands) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 2 * SEGMENT:
                raise ValueError("the file cannot be read")
            return super().read(size)

    for before in ({}, {"large": CONTENT}):
        for key, content in before.items():
            put(store, key, content)
        there = hands.lie_in(hands.segments)
        with pytest.raises(ValueError, match="cannot be read"):
            store.put("large", Breaking(CONTENT[::-1]), len(CONTENT))
        assert hands.lie_in(hands.segments) == there
        assert {key: get(store, key) for key in hands.lie_in(hands.bucket)} == before


def test_a_segment_that_is_changed_meanwhile_fails_the_upload(store: SwiftStore, hands: Hands) -> None:
    class Tampering(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 2 * SEGMENT:
                (first, *_) = sorted(hands.lie_in(hands.segments))
                hands.lay(hands.segments, first, bytes(SEGMENT))
            return super().read(size)

    with pytest.raises(StoreError) as caught:
        store.put("large", Tampering(CONTENT), len(CONTENT))
    assert (caught.value.why, caught.value.code.code) == (Why.NO_UPLOAD, "S302")
    assert (hands.lie_in(hands.bucket), hands.lie_in(hands.segments)) == ({}, {})


def begin(store: SwiftStore, key: str = "large", resume: bool = False) -> SwiftUpload:
    upload = store.in_parts(key, len(CONTENT), resume)
    assert upload is not None
    return upload


def part(number: int) -> bytes:
    return CONTENT[number * SEGMENT : (number + 1) * SEGMENT]


def test_parts_may_come_in_any_order(store: SwiftStore) -> None:
    upload = begin(store)
    assert upload.part == SEGMENT
    for number in (2, 0, 1):
        upload.put(number, part(number))
    assert list(store.list()) == []
    assert [upload.finish()] == list(store.list())
    assert get(store, "large") == CONTENT


def test_an_aborted_upload_leaves_nothing(store: SwiftStore, hands: Hands) -> None:
    upload = begin(store)
    upload.put(0, part(0))
    upload.abort()
    assert (hands.lie_in(hands.bucket), hands.lie_in(hands.segments)) == ({}, {})


def test_a_killed_upload_is_resumed_with_the_parts_it_has_stored(store: SwiftStore, hands: Hands) -> None:
    killed = begin(store)
    for number in (0, 2):
        killed.put(number, part(number)[::-1] if number == 2 else part(number))
    resumed = begin(store, resume=True)
    assert resumed.stored == {0: hashlib.md5(part(0)).hexdigest(), 2: hashlib.md5(part(2)[::-1]).hexdigest()}
    for number in (1, 2):
        resumed.put(number, part(number))
    resumed.finish()
    assert get(store, "large") == CONTENT
    assert len(hands.lie_in(hands.segments)) == 3, "the part that was another one is gone"


def test_resuming_what_is_done_moves_nothing(store: SwiftStore, hands: Hands) -> None:
    stored = put(store, "large", CONTENT)
    there = hands.lie_in(hands.segments)
    resumed = begin(store, resume=True)
    assert len(resumed.stored) == 3
    assert resumed.finish() == stored
    assert (get(store, "large"), hands.lie_in(hands.segments)) == (CONTENT, there)


def test_aborting_what_was_resumed_leaves_the_object_that_is_there(store: SwiftStore) -> None:
    put(store, "large", CONTENT)
    resumed = begin(store, resume=True)
    resumed.put(0, part(0)[::-1])
    resumed.abort()
    assert get(store, "large") == CONTENT


def test_parts_that_were_cut_otherwise_or_belong_to_another_key_are_not_taken(store: SwiftStore, hands: Hands) -> None:
    for key in ("large", "large/slo", "larg"):
        assert begin(store, key).put(0, part(0)) is None
    other = store.in_parts("large", len(CONTENT) + 1, resume=False)
    assert other is not None
    other.put(1, part(1))
    resumed = begin(store, resume=True)
    assert list(resumed.stored) == [0]
    for number in (1, 2):
        resumed.put(number, part(number))
    resumed.finish()
    assert len(hands.lie_in(hands.segments)) == 3 + 2, "those of the other keys stay"


def test_an_upload_whose_segments_have_gone_has_to_begin_anew(store: SwiftStore, hands: Hands) -> None:
    upload = begin(store)
    for number in range(3):
        upload.put(number, part(number))
    hands.client.delete_object(hands.segments, min(hands.lie_in(hands.segments)))
    with pytest.raises(StoreError) as caught:
        upload.finish()
    assert caught.value.why is Why.NO_UPLOAD
    with pytest.raises(StoreError) as caught:
        begin(store).finish()
    assert caught.value.why is Why.NO_UPLOAD


def test_what_a_killed_upload_left_is_removed_by_a_later_one_of_the_key(store: SwiftStore, hands: Hands) -> None:
    begin(store).put(0, part(0))
    hands.lay(hands.segments, "large/slo/notes.txt", b"somebody else's")
    put(store, "large", CONTENT)
    assert len(hands.lie_in(hands.segments)) == 5, "a young one may belong to an upload that is going on"
    later = begin(store)
    later.abandoned_after = timedelta(seconds=-60)
    for number in range(3):
        later.put(number, part(number))
    later.finish()
    names = set(hands.lie_in(hands.segments))
    assert len(names) == 4
    assert "large/slo/notes.txt" in names
    assert get(store, "large") == CONTENT


def test_a_piece_of_a_large_object_is_read_without_the_rest(store: SwiftStore) -> None:
    stored = put(store, "large", CONTENT)
    for start, size in ((0, 10), (990, 20), (2000, 560)):
        into = io.BytesIO()
        assert store.read(stored, start, size, into) == stored
        assert into.getvalue() == CONTENT[start : start + size]


def test_a_segment_that_was_changed_is_not_taken_for_the_object(store: SwiftStore, hands: Hands) -> None:
    put(store, "large", CONTENT)
    second = sorted(hands.lie_in(hands.segments))[1]
    hands.lay(hands.segments, second, bytes(SEGMENT))
    with pytest.raises(StoreError) as caught:
        get(store, "large")
    assert (caught.value.why, caught.value.code.code) == (Why.BROKEN, "S302")


def test_a_large_object_that_arrives_changed_is_told(store: SwiftStore, wired: Bucket, wire: Wire) -> None:
    content = b"the second segment".join([bytes(SEGMENT), bytes(SEGMENT)])
    put(store, "large", content)
    wire.change(b"second", b"sEcond")
    with pytest.raises(StoreError) as caught:
        wired.open().get("large", io.BytesIO())
    assert (caught.value.why, caught.value.code.code) == (Why.BROKEN, "S302")
    assert "00000001 arrived changed" in caught.value.message


def test_a_static_object_of_ranges_nested_ones_and_inline_bytes_is_read(store: SwiftStore, hands: Hands) -> None:
    elsewhere = f"{hands.bucket}-elsewhere"
    etag = hands.lay(elsewhere, "piece", CONTENT)
    whole = {"path": f"/{elsewhere}/piece", "etag": etag, "size_bytes": len(CONTENT)}
    hands.lay_static("nested", [whole])
    hands.lay_static(
        "mixed", [{**whole, "range": "10-19"}, {"path": f"/{hands.bucket}/nested"}, {"data": "aGVsbG8="}, whole]
    )
    expected = CONTENT[10:20] + CONTENT + b"hello" + CONTENT
    assert {entry.key: entry.size for entry in store.list()} == {"nested": len(CONTENT), "mixed": len(expected)}
    assert get(store, "mixed") == expected
    store.delete("mixed")
    assert set(hands.lie_in(hands.bucket)) == {"nested"}, "what is an object of the bucket is not a mere segment"


def test_a_nested_one_outside_the_bucket_is_deleted_with_what_it_consists_of(store: SwiftStore, hands: Hands) -> None:
    etag = hands.lay(hands.segments, "piece", CONTENT)
    piece = {"path": f"/{hands.segments}/piece", "etag": etag, "size_bytes": len(CONTENT)}
    hands.lay(hands.segments, "nested", json.dumps([piece]).encode(), query_string="multipart-manifest=put")
    hands.lay_static("large", [{"path": f"/{hands.segments}/nested"}])
    assert get(store, "large") == CONTENT
    store.delete("large")
    assert (hands.lie_in(hands.bucket), hands.lie_in(hands.segments)) == ({}, {})


@pytest.mark.parametrize("segments", [3, 51])
def test_a_dynamic_large_object_is_listed_with_its_real_size_and_read(
    store: SwiftStore, hands: Hands, tmp_path: Path, segments: int
) -> None:
    """Swift tells neither size nor etag of one that has more segments than a page of its listings."""
    for number in range(segments):
        hands.lay(hands.segments, f"lar ge/{number:04d}", CONTENT[number : number + 7])
    manifest = {"X-Object-Manifest": f"{hands.segments}/lar%20ge/"}
    hands.lay(hands.bucket, "large", headers=manifest)
    expected = b"".join(CONTENT[number : number + 7] for number in range(segments))
    (entry,) = store.list()
    assert (entry.key, entry.size, entry.md5) == ("large", 7 * segments, None)
    download(store, [entry], tmp_path / "target", 1, quiet)
    assert (tmp_path / "target/large").read_bytes() == expected
    into = io.BytesIO()
    assert store.read(entry, 8, 100 if segments > 50 else 5, into) == entry
    assert into.getvalue() == expected[8 : 8 + len(into.getvalue())]


def test_a_dynamic_large_object_that_has_shrunk_since_it_was_listed_is_told(store: SwiftStore, hands: Hands) -> None:
    for number in range(51):
        hands.lay(hands.segments, f"part/{number:02d}", CONTENT[:7])
    hands.lay(hands.bucket, "large", headers={"X-Object-Manifest": f"{hands.segments}/part/"})
    (entry,) = store.list()
    for number in (49, 50):
        hands.client.delete_object(hands.segments, f"part/{number}")
    with pytest.raises(StoreError) as caught:
        store.read(entry, 300, 57, io.BytesIO())
    assert (caught.value.why, caught.value.code.code) == (Why.BROKEN, "S302")
    assert "43 of 57 bytes" in caught.value.message


def test_deleting_a_dynamic_large_object_leaves_what_it_was_made_of(store: SwiftStore, hands: Hands) -> None:
    hands.lay(hands.bucket, "part/1", CONTENT)
    hands.lay(hands.bucket, "all", headers={"X-Object-Manifest": f"{hands.bucket}/part/"})
    store.delete("all")
    assert set(hands.lie_in(hands.bucket)) == {"part/1"}


def test_few_requests_are_made_where_nothing_is_large(store: SwiftStore, hands: Hands) -> None:
    put(store, "a", os.urandom(10))
    assert hands.lie_in(hands.segments) == {}
    with pytest.raises(ClientException):
        hands.client.head_container(hands.segments)
