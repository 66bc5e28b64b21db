"""What every adapter of the port to object stores does alike."""

from __future__ import annotations

import hashlib
import io
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from everystore import get, put

from trainyard.stores.base import Entry, Store, StoreError, Why

ODD_KEYS = ["sp ace+plus&amp;.txt", "ünï/日本語.bin", "q'uote\"(1)~!*.txt", "perc%20ent", "x/y/z=1/part-0", "emo😀ji"]
BAD_KEYS = ["../up", "a/../b", "/absolute", "a//b", ".", "", "folder/", "nul\0", "x" * 256]


def test_an_object_comes_back_as_it_was_stored(store: Store) -> None:
    put(store, "a/b.bin", bytes(range(256)) * 1000)
    assert get(store, "a/b.bin") == bytes(range(256)) * 1000


def test_what_is_stored_is_told_as_it_is_listed_and_read(store: Store) -> None:
    stored = put(store, "a", b"content")
    assert stored == Entry("a", 7, stored.etag, hashlib.md5(b"content").hexdigest())
    assert list(store.list()) == [stored]
    assert store.get("a", io.BytesIO()) == stored


def test_an_empty_file_is_an_object(store: Store) -> None:
    put(store, "empty", b"")
    assert [(entry.key, entry.size) for entry in store.list()] == [("empty", 0)]
    assert get(store, "empty") == b""


def test_storing_again_replaces(store: Store) -> None:
    put(store, "a", b"long before")
    put(store, "a", b"now")
    assert get(store, "a") == b"now"


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_with_spaces_signs_and_unicode_are_kept(store: Store, key: str) -> None:
    put(store, key, key.encode())
    assert [entry.key for entry in store.list()] == [key]
    assert get(store, key) == key.encode()
    store.delete(key)
    assert list(store.list()) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_is_no_path_below_a_folder_is_refused(store: Store, key: str) -> None:
    for action in (lambda: put(store, key), lambda: get(store, key), lambda: store.delete(key)):
        with pytest.raises(StoreError) as caught:
            action()
        assert (caught.value.why, caught.value.code.code) == (Why.BAD_KEY, "C103")


def test_listing_goes_by_prefix_and_in_key_order(store: Store) -> None:
    for key in ("a/2", "a-1", "a/1", "b", "a.x", "aa/1"):
        put(store, key)
    assert [entry.key for entry in store.list("a/")] == ["a/1", "a/2"]
    assert [entry.key for entry in store.list()] == ["a-1", "a.x", "a/1", "a/2", "aa/1", "b"]


def test_an_empty_bucket_lists_nothing(store: Store) -> None:
    assert list(store.list()) == []


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(store: Store) -> None:
    put(store, "a/b")
    store.delete("a/b")
    store.delete("a/b")
    assert list(store.list()) == []
    put(store, "a")


def test_an_interrupted_read_leaves_the_store_usable(store: Store) -> None:
    put(store, "large", b"x" * 5_000_000)
    put(store, "small")

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        store.get("large", Full())
    assert get(store, "small") == b"content"


def test_many_threads_share_one_store(store: Store) -> None:
    contents = {f"{uuid.uuid4().hex}/{number}": str(number).encode() * 1000 for number in range(40)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: put(store, *item), contents.items()))
        assert list(pool.map(lambda key: get(store, key), contents)) == list(contents.values())


@pytest.mark.parametrize("key", ODD_KEYS)
def test_what_is_listed_is_read_whole(store: Store, key: str) -> None:
    put(store, key, key.encode())
    (listed,) = store.list()
    into = io.BytesIO()
    got = store.read(listed, 0, listed.size, into)
    assert (into.getvalue(), got.key, got.size, got.etag) == (key.encode(), key, listed.size, listed.etag)


def test_a_part_of_an_object_is_read_where_a_store_can(store: Store) -> None:
    put(store, "a", bytes(range(256)))
    (listed,) = store.list()
    if not store.ranged:
        pytest.skip("it moves objects whole")
    into = io.BytesIO()
    got = store.read(listed, 10, 20, into)
    assert into.getvalue() == bytes(range(10, 30))
    assert (got.size, got.etag) == (256, listed.etag)


def test_an_object_that_was_replaced_or_deleted_since_it_was_listed_is_not_taken_for_it(store: Store) -> None:
    put(store, "a", b"before")
    (listed,) = store.list()
    put(store, "a", b"after!")

    def reported() -> str | Why:
        try:
            return store.read(listed, 0, listed.size, io.BytesIO()).etag
        except StoreError as error:
            return error.why

    assert reported() in (Why.CHANGED, hashlib.md5(b"after!").hexdigest())
    store.delete("a")
    with pytest.raises(StoreError) as caught:
        store.read(listed, 0, listed.size, io.BytesIO())
    assert caught.value.why in (Why.NO_KEY, Why.CHANGED)


def test_a_small_file_is_stored_from_its_start_wherever_it_stands(store: Store) -> None:
    source = io.BytesIO(b"content")
    source.seek(3)
    store.put("small", source, 7)
    assert get(store, "small") == b"content"


def test_the_last_bytes_are_read_and_an_empty_object_is_read_whole(store: Store) -> None:
    put(store, "empty", b"")
    put(store, "full", b"0123456789")
    empty, full = store.list()
    into = io.BytesIO()
    assert (store.read(empty, 0, 0, into).size, into.getvalue()) == (0, b"")
    if store.ranged:
        assert (store.read(full, 7, 3, into).size, into.getvalue()) == (10, b"789")


def test_a_piece_of_what_has_changed_since_it_was_listed_is_refused(store: Store) -> None:
    if not store.ranged:
        pytest.skip("it moves objects whole")
    put(store, "a", b"0123456789")
    (listed,) = store.list()
    put(store, "a", b"9876543210")
    into = io.BytesIO()
    with pytest.raises(StoreError) as caught:
        store.read(listed, 3, 4, into)
    assert (caught.value.why, caught.value.code.code) == (Why.CHANGED, "S302")
    assert into.getvalue() == b""


def test_listing_goes_over_pages_that_end_with_odd_names(store: Store) -> None:
    """Where a page ends is where the next begins: its last key is sent back to the store."""
    keys = sorted(f"ünï +&%20=日/{number:04d} ~'\".txt" for number in range(1100))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(store, key, b"x"), [*keys, "other"]))
    assert [entry.key for entry in store.list("ünï +&%20=日/")] == keys
    assert [entry.key for entry in store.list()] == ["other", *keys]


@pytest.mark.parametrize("prefix", ["a b/", "ü/", "a+b", "a%20b/", "nothing/"])
def test_a_prefix_is_taken_as_it_is(store: Store, prefix: str) -> None:
    keys = ["a b/1", "a%20b/1", "a+b/1", "ü/1"]
    for key in keys:
        put(store, key)
    assert [entry.key for entry in store.list(prefix)] == [key for key in sorted(keys) if key.startswith(prefix)]
