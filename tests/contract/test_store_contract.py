"""What every adapter of the port to object stores does alike."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from storeservers import Bucket, free_port, wait_for

from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, Store, StoreError, Why
from trainyard.stores.digest import MIB

ODD_KEYS = ["sp ace+plus&amp;.txt", "ünï/日本語.bin", "q'uote\"(1)~!*.txt", "perc%20ent", "x/y/z=1/part-0", "emo😀ji"]
BAD_KEYS = ["../up", "a/../b", "/absolute", "a//b", ".", "", "folder/", "nul\0", "x" * 256]


@pytest.fixture(params=["s3", pytest.param("swift", marks=pytest.mark.swiftcloud), "folder"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    if request.param != "folder":
        return request.getfixturevalue(request.param)
    (tmp_path / "bucket").mkdir()
    ref = StoreRef("folder", "bucket", tmp_path.as_uri())
    nobody = Credentials("", "")
    return Bucket(ref, nobody, {"TRAINYARD_FOLDER_STORES": str(tmp_path)}, ref, nobody)


@pytest.fixture
def store(bucket: Bucket) -> Store:
    return bucket.open()


@pytest.fixture
def remote(bucket: Bucket) -> Bucket:
    if bucket.ref.kind == "folder":
        pytest.skip("a folder has no credentials and no network")
    return bucket


def put(store: Store, key: str, content: bytes = b"content") -> Entry:
    return store.put(key, io.BytesIO(content), len(content))


def get(store: Store, key: str) -> bytes:
    into = io.BytesIO()
    store.get(key, into)
    return into.getvalue()


def refused(store: Store, deed: str = "list") -> StoreError:
    with pytest.raises(StoreError) as caught:
        {"list": lambda: list(store.list()), "put": lambda: put(store, "a"), "get": lambda: get(store, "a")}[deed]()
    return caught.value


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
    for deed in (lambda: put(store, key), lambda: get(store, key), lambda: store.delete(key)):
        with pytest.raises(StoreError) as caught:
            deed()
        assert (caught.value.why, caught.value.code.code) == (Why.BAD_KEY, "C103")


def test_listing_goes_by_prefix_and_in_key_order(store: Store) -> None:
    for key in ("a/2", "a-1", "a/1", "b", "a.x", "aa/1"):
        put(store, key)
    assert [entry.key for entry in store.list("a/")] == ["a/1", "a/2"]
    assert [entry.key for entry in store.list()] == ["a-1", "a.x", "a/1", "a/2", "aa/1", "b"]


def test_listing_goes_over_all_pages(store: Store) -> None:
    keys = [f"many/{number:05d}" for number in range(1500)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: put(store, key, b"x"), keys))
    assert [entry.key for entry in store.list()] == keys


def test_an_empty_bucket_lists_nothing(store: Store) -> None:
    assert list(store.list()) == []


def test_a_deleted_object_is_gone_and_deleting_it_again_is_fine(store: Store) -> None:
    put(store, "a/b")
    store.delete("a/b")
    store.delete("a/b")
    assert list(store.list()) == []
    put(store, "a")


def test_a_missing_object_is_named(store: Store) -> None:
    error = refused(store, "get")
    assert (error.why, error.code.code) == (Why.NO_KEY, "C103")
    assert "'a'" in error.message


@pytest.mark.parametrize("deed", ["list", "put", "get"])
def test_a_missing_bucket_is_refused_with_its_name_and_endpoint(bucket: Bucket, deed: str) -> None:
    error = refused(bucket.missing(), deed)
    assert (error.why, error.code.code) == (Why.NO_BUCKET, "C103")
    assert error.message == f"there is no bucket no-such-bucket at {bucket.ref.endpoint}"
    assert error.cure


@pytest.mark.parametrize("deed", ["list", "put", "get"])
def test_a_wrong_secret_is_refused_and_not_told(remote: Bucket, deed: str) -> None:
    error = refused(remote.open(credentials=Credentials(remote.credentials.user, "mistyped-secret")), deed)
    assert (error.why, error.code.code) == (Why.CREDENTIALS, "C103")
    assert error.message.startswith(f"bucket {remote.ref.bucket} at {remote.ref.endpoint} refused the credentials")
    assert "mistyped-secret" not in str(error.as_dict())


def test_a_wrong_key_is_refused(remote: Bucket) -> None:
    error = refused(remote.open(credentials=Credentials("nobody-we-know", remote.credentials.secret)))
    assert error.why is Why.CREDENTIALS
    assert remote.credentials.secret not in str(error.as_dict())


def test_a_read_only_bucket_is_read_and_not_written(remote: Bucket) -> None:
    put(remote.open(), "a")
    store = remote.read_only()
    wait_for(lambda: [entry.key for entry in store.list()] == ["a"])
    assert get(store, "a") == b"content"
    error = refused(store, "put")
    assert (error.why, error.code.code) == (Why.FORBIDDEN, "C103")
    assert f"not allowed to write to bucket {remote.ref.bucket}" in error.message


def test_an_unreachable_endpoint_fails_in_seconds_with_a_sentence(remote: Bucket) -> None:
    began = time.monotonic()
    error = refused(remote.open(replace(remote.ref, endpoint=f"http://127.0.0.1:{free_port()}")))
    assert time.monotonic() - began < 15
    assert (error.why, error.code.code, error.code.retried) == (Why.UNREACHABLE, "S302", True)
    assert "cannot be reached" in error.message
    assert error.cure


def test_a_user_and_password_in_an_endpoint_are_not_told(remote: Bucket) -> None:
    endpoint = f"http://ada:hunter2@127.0.0.1:{free_port()}"
    error = refused(remote.open(replace(remote.ref, endpoint=endpoint)))
    assert "hunter2" not in str(error.as_dict())


def test_a_plain_web_page_is_told_from_a_store(remote: Bucket) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome<br>to our endpoints</html>")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            error = refused(remote.open(replace(remote.ref, endpoint=f"http://127.0.0.1:{server.server_port}")))
        finally:
            server.shutdown()
    assert error.why in (Why.NO_BUCKET, Why.BROKEN)
    assert error.cure.startswith("Check ")


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

    def told() -> str | Why:
        try:
            return store.read(listed, 0, listed.size, io.BytesIO()).etag
        except StoreError as error:
            return error.why

    assert told() in (Why.CHANGED, hashlib.md5(b"after!").hexdigest())
    store.delete("a")
    with pytest.raises(StoreError) as caught:
        store.read(listed, 0, listed.size, io.BytesIO())
    assert caught.value.why in (Why.NO_KEY, Why.CHANGED)


def test_parts_make_an_object_in_any_order_and_an_aborted_one_leaves_none(bucket: Bucket) -> None:
    content = bytes(range(256)) * (40 * MIB // 256) + b"the end"
    store = replace(bucket, options={**bucket.options, "TRAINYARD_SWIFT_SEGMENT_BYTES": "16MiB"}).open()
    upload = store.in_parts("large", len(content), resume=True)
    if upload is None:
        pytest.skip("it takes files whole")
    parts = [content[start : start + upload.part] for start in range(0, len(content), upload.part)]
    for number in reversed(range(len(parts))):
        upload.put(number, parts[number])
        assert list(store.list()) == []
    assert upload.finish().size == len(content)
    assert hashlib.md5(get(store, "large")).digest() == hashlib.md5(content).digest()
    given_up = store.in_parts("other", len(content), resume=True)
    assert given_up is not None
    given_up.put(0, parts[0])
    given_up.abort()
    assert [entry.key for entry in store.list()] == ["large"]


def test_an_upload_that_broke_off_is_taken_up_where_it_ended(bucket: Bucket) -> None:
    content = bytes(40 * MIB)
    store = replace(bucket, options={**bucket.options, "TRAINYARD_SWIFT_SEGMENT_BYTES": "16MiB"}).open()
    first = store.in_parts("large", len(content), resume=True)
    if first is None:
        pytest.skip("it takes files whole")
    first.put(1, content[first.part : 2 * first.part])
    again = store.in_parts("large", len(content), resume=True)
    assert again is not None
    assert dict(again.stored) == {1: hashlib.md5(content[: first.part]).hexdigest()}
    again.abort()
