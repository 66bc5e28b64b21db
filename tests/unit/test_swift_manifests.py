"""What Swift reports of large objects, read and written: manifests, names of segments, etags."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from trainyard.domain.digest import PART
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings
from trainyard.stores.swift.large import (
    MAX_SEGMENTS,
    Leftover,
    Segment,
    SegmentCheck,
    etag_of,
    hash_of_hashes,
    manifest_of,
    part_size,
    read_manifest,
    segments_folder,
    upload_folder,
)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def test_segments_are_of_a_part_each_until_a_manifest_is_full() -> None:
    assert part_size(10 * PART, 4096 * PART) == PART
    assert part_size(10 * PART, 1000) == max(1000, -(-10 * PART // MAX_SEGMENTS))
    huge = MAX_SEGMENTS * PART + 1
    assert -(-huge // part_size(huge, 4096 * PART)) <= MAX_SEGMENTS


def test_a_manifest_names_path_digest_and_size_of_each_segment() -> None:
    written = json.loads(manifest_of([Segment("b_segments", "ünï/1", 3, md5(b"abc"))]))
    assert written == [{"path": "/b_segments/ünï/1", "etag": md5(b"abc"), "size_bytes": 3}]


def test_a_manifest_tells_ranges_nested_objects_and_inline_bytes() -> None:
    row = {"name": "/c/a/b", "bytes": 100, "hash": "h" * 32}
    reported = [row, {**row, "range": "10-19"}, {**row, "sub_slo": True}, {"data": "aGVsbG8="}]
    assert read_manifest(json.dumps(reported)) == [
        Segment("c", "a/b", 100, "h" * 32),
        Segment("c", "a/b", 10),
        Segment("c", "a/b", 100, nested=True),
        Segment("", "", 5),
    ]


def test_the_etag_of_whole_segments_is_the_digest_of_their_digests() -> None:
    segments = [Segment("c", "1", 3, md5(b"abc")), Segment("c", "2", 2, md5(b"de"))]
    assert hash_of_hashes(segments) == md5((md5(b"abc") + md5(b"de")).encode())
    assert hash_of_hashes([*segments, Segment("c", "3", 1)]) is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_changed_segment_is_found_however_the_content_comes(size: int) -> None:
    content = b"abc??fgh"
    check = SegmentCheck([Segment("c", "1", 3, md5(b"abc")), Segment("c", "2", 2), Segment("c", "3", 3, md5(b"fgH"))])
    for start in range(0, len(content), size):
        check.update(content[start : start + size])
    assert check.changed == "3"


@pytest.mark.parametrize(
    ("headers", "etag"),
    [
        ({"etag": "0123"}, "0123"),
        ({"etag": '"0123"', "x-static-large-object": "True"}, "0123"),
        ({"etag": '"0123"', "x-object-manifest": "c/p"}, "0123"),
        ({"etag": "0123", "x-object-manifest": "c/p"}, ""),
    ],
)
def test_an_etag_has_no_quotes_and_is_never_a_dynamic_manifests_own(headers: dict[str, str], etag: str) -> None:
    assert etag_of(headers) == etag


def test_a_segment_tells_by_its_name_what_it_is_a_part_of() -> None:
    name = f"{upload_folder('a/b', 2500, 1000)}/00000002"
    stamp = (datetime.now(UTC) - timedelta(hours=5)).replace(tzinfo=None).isoformat()
    item = {"name": name, "bytes": 500, "hash": "h" * 32, "last_modified": stamp}
    found = Leftover.read("c", "a/b", item)
    assert found is not None
    assert (found.segment, found.size, found.part, found.number) == (Segment("c", name, 500, "h" * 32), 2500, 1000, 2)
    assert timedelta(hours=5) <= found.age < timedelta(hours=6)
    for key in ("a", "a/b/slo", "b", "a/b/c"):
        assert Leftover.read("c", key, item) is None, key


def test_a_key_that_leaves_no_room_for_the_rest_of_the_name_is_told_by_its_digest() -> None:
    long = "ü" * 500
    assert segments_folder("short") == "short/slo/"
    assert len(segments_folder(long)) < 100
    assert segments_folder(long) != segments_folder(long + "x")


@pytest.mark.parametrize("text", ["0", "6GiB", "many"])
def test_a_segment_size_that_swift_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(TrainyardError) as caught:
        read_settings({"TRAINYARD_SWIFT_SEGMENT_BYTES": text})
    assert caught.value.code.code == "S500"
    assert "TRAINYARD_SWIFT_SEGMENT_BYTES" in caught.value.message
