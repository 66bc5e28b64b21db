"""What every adapter that takes files in parts does alike."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from everystore import LARGE, begin, get, pieces, put
from storeservers import Bucket

from trainyard.domain.digest import MIB
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.transfer import Source, upload


def test_parts_make_an_object_in_any_order_and_nothing_is_seen_before(parted: Store) -> None:
    sent = begin(parted, "large")
    parts = pieces(sent.part)
    assert len(parts) == 3
    for number in reversed(range(3)):
        sent.put(number, parts[number])
        assert list(parted.list()) == []
    stored = sent.finish()
    assert (stored.key, stored.size) == ("large", len(LARGE))
    assert hashlib.md5(get(parted, "large")).digest() == hashlib.md5(LARGE).digest()


def test_parts_that_are_given_up_leave_no_object_and_what_was_there_before(parted: Store) -> None:
    for key, before in (("new", b""), ("old", b"before")):
        if before:
            put(parted, key, before)
        sent = begin(parted, key)
        sent.put(0, pieces(sent.part)[0])
        sent.abort()
    assert [entry.key for entry in parted.list()] == ["old"]
    assert get(parted, "old") == b"before"
    assert not begin(parted, "new").stored


def test_parts_may_come_from_many_threads(parted: Store) -> None:
    sent = begin(parted, "large")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda numbered: sent.put(*numbered), enumerate(pieces(sent.part))))
    sent.finish()
    assert hashlib.md5(get(parted, "large")).digest() == hashlib.md5(LARGE).digest()


def test_a_large_file_of_any_name_is_stored_read_in_pieces_and_known(parted: Store) -> None:
    key = "ünï/日本語 &+%20.bin"
    put(parted, key, LARGE)
    (listed,) = parted.list("ünï/")
    assert (listed.key, listed.size) == (key, len(LARGE))
    for start, size in ((0, 10), (16 * MIB - 5, 10), (len(LARGE) - 7, 7)):
        into = io.BytesIO()
        got = parted.read(listed, start, size, into)
        assert (into.getvalue(), got.size) == (LARGE[start : start + size], len(LARGE))
    digests = (hashlib.md5(LARGE).hexdigest(), parted.etag_in_parts(io.BytesIO(LARGE), len(LARGE)))
    assert listed.etag in digests
    changed = b"X" + LARGE[1:]
    assert listed.etag != parted.etag_in_parts(io.BytesIO(changed), len(changed))


def test_what_is_sent_again_unchanged_is_not_moved_whoever_else_writes(parted: Store) -> None:
    source = Source("large", len(LARGE), lambda: io.BytesIO(LARGE))
    assert upload(parted, [source], "id/", 2, lambda _: None).moved_files == 1
    for shared in (True, False):
        assert upload(parted, [source], "id/", 2, lambda _: None, shared=shared).moved_files == 0
    other = Source("large", len(LARGE), lambda: io.BytesIO(LARGE[::-1]))
    assert upload(parted, [other], "id/", 2, lambda _: None, shared=True).moved_files == 1
    assert hashlib.md5(get(parted, "id/large")).digest() == hashlib.md5(LARGE[::-1]).digest()


def test_an_upload_that_broke_off_is_taken_up_where_it_ended(parted: Store) -> None:
    first = begin(parted, "large")
    first.put(1, pieces(first.part)[1])
    begin(parted, "large-other").put(0, pieces(first.part)[0])
    again = begin(parted, "large")
    assert dict(again.stored) == {1: hashlib.md5(pieces(first.part)[1]).hexdigest()}
    for number in (0, 2):
        again.put(number, pieces(first.part)[number])
    again.finish()
    assert hashlib.md5(get(parted, "large")).digest() == hashlib.md5(LARGE).digest()
    begin(parted, "large-other").abort()


def test_an_upload_that_others_may_go_on_with_is_not_taken_up(parted: Store) -> None:
    others = begin(parted, "large", resume=False)
    others.put(0, pieces(others.part)[0])
    ours = begin(parted, "large", resume=False)
    assert not ours.stored
    ours.put(0, pieces(ours.part)[0])
    ours.abort()
    for number in (1, 2):
        others.put(number, pieces(others.part)[number])
    assert others.finish().size == len(LARGE)


def test_an_upload_that_is_over_is_told_to_begin_anew(parted: Store) -> None:
    first = begin(parted, "large")
    first.put(0, pieces(first.part)[0])
    second = begin(parted, "large")
    second.abort()

    def go_on() -> None:
        for number in (1, 2):
            first.put(number, pieces(first.part)[number])
        first.finish()

    with pytest.raises(StoreError) as caught:
        go_on()
    assert (caught.value.why, caught.value.code.code) == (Why.NO_UPLOAD, "S302")
    assert list(parted.list()) == []
    with suppress(StoreError):
        first.abort()


def test_parts_for_a_missing_bucket_are_refused_with_its_name(parted: Store, bucket: Bucket) -> None:
    with pytest.raises(StoreError) as caught:
        put(bucket.missing(), "large", LARGE)
    assert caught.value.why is Why.NO_BUCKET
    assert "no-such-bucket" in caught.value.message


def test_parts_for_a_read_only_bucket_are_refused(parted: Store, bucket: Bucket) -> None:
    with pytest.raises(StoreError) as caught:
        put(bucket.read_only(), "large", LARGE)
    assert (caught.value.why, caught.value.code.code) == (Why.FORBIDDEN, "C103")
    assert list(parted.list()) == []


def test_a_small_file_is_never_taken_in_parts(store: Store) -> None:
    assert store.in_parts("small", 1000, resume=True) is None


def test_a_file_is_stored_from_its_start_wherever_it_stands(parted: Store) -> None:
    for key, content in (("small", b"content"), ("large", LARGE)):
        source = io.BytesIO(content)
        source.seek(3)
        parted.put(key, source, len(content))
        assert hashlib.md5(get(parted, key)).digest() == hashlib.md5(content).digest()
