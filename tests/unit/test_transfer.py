"""Moving many objects: parallel, verified, resumed."""

from __future__ import annotations

import io
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from memorystore import MemoryStore

from trainyard.domain.digest import multipart_etag
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, FileShrankError, StoreError, Why
from trainyard.stores.moving import retrying
from trainyard.stores.moving.journal import Journal
from trainyard.stores.refusals import refusal
from trainyard.stores.transfer import Source, check_keys, download, upload


def quiet(text: str) -> None:
    pass


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def source(key: str, content: bytes) -> Source:
    return Source(key, len(content), lambda: io.BytesIO(content))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(**{f"folder/{number:02d}": bytes([number]) * 5000 for number in range(40)}, empty=b"")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


class TestDownload:
    def test_everything_arrives(self, store: MemoryStore, target: Path) -> None:
        moved = download(store, list(store.list()), target, 4, quiet)
        assert files_in(target) == store.contents
        assert (moved.files, moved.bytes, moved.moved_files, moved.moved_bytes) == (41, 200_000, 41, 200_000)

    def test_a_second_time_moves_nothing(self, store: MemoryStore, target: Path) -> None:
        download(store, list(store.list()), target, 4, quiet)
        store.got.clear()
        assert download(store, list(store.list()), target, 4, quiet).moved_files == 0
        assert store.got == []

    def test_a_file_of_the_same_size_and_other_content_is_moved_again(self, store: MemoryStore, target: Path) -> None:
        download(store, list(store.list()), target, 4, quiet)
        (target / "folder/07").write_bytes(b"x" * 5000)
        assert download(store, list(store.list()), target, 4, quiet).moved_files == 1
        assert files_in(target) == store.contents

    def test_without_a_digest_the_journal_tells_what_lies_there(self, store: MemoryStore, target: Path) -> None:
        journal = Journal(target.with_name("journal"))
        store.entry = lambda key: Entry(key, len(store.contents[key]), f"etag-of-{key}")  # type: ignore[method-assign]
        download(store, list(store.list()), target, 4, quiet, journal)
        with target.with_name("journal").open("a") as file:
            file.write('\n{"key": "folder/00", "si')
        assert download(store, list(store.list()), target, 4, quiet, journal).moved_files == 0
        assert download(store, list(store.list()), target, 4, quiet).moved_files == 41

    def test_a_failure_stops_all_and_the_next_attempt_goes_on(self, store: MemoryStore, target: Path) -> None:
        def fail(key: str) -> None:
            if key == "folder/20":
                raise refusal(Why.FORBIDDEN, store.place, "read from", key)

        store.on_get = fail
        threads = threading.active_count()
        with pytest.raises(StoreError) as caught:
            download(store, list(store.list()), target, 3, quiet)
        assert caught.value.why is Why.FORBIDDEN
        assert threading.active_count() == threads
        arrived = files_in(target)
        assert 0 < len(arrived) < 41
        assert arrived == {key: store.contents[key] for key in arrived}
        assert [path.name for path in target.parent.iterdir()] == ["target"]
        store.on_get, store.got[:] = lambda key: None, []
        download(store, list(store.list()), target, 3, quiet)
        assert files_in(target) == store.contents
        assert not set(store.got) & set(arrived)

    def test_an_interrupt_leaves_no_half_file_and_no_thread(self, store: MemoryStore, target: Path) -> None:
        busy, handled, late = threading.Barrier(3), threading.Event(), threading.Event()

        def interrupt(*_: object) -> None:
            handled.set()
            raise KeyboardInterrupt

        def hang(key: str) -> None:
            if handled.is_set():
                # A thread that was quicker than the interrupt may get this far once; none may go on for long.
                late.wait(0.5)
                return
            if busy.wait(120) == 0:
                os.kill(os.getpid(), signal.SIGINT)
            assert handled.wait(120)

        store.on_get = hang
        threads, before = threading.active_count(), signal.signal(signal.SIGINT, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                download(store, list(store.list()), target, 3, quiet)
        finally:
            signal.signal(signal.SIGINT, before)
        assert threading.active_count() == threads
        assert len(store.got) < 41
        assert [path.name for path in target.parent.iterdir()] == ["target"]
        assert all(content == store.contents[key] for key, content in files_in(target).items())

    def test_a_failure_that_passes_is_overcome(self, store: MemoryStore, target: Path) -> None:
        def fail_once(key: str) -> None:
            if key == "empty" and store.got.count(key) == 1:
                raise refusal(Why.BROKEN, store.place, "read from")

        store.on_get = fail_once
        download(store, list(store.list()), target, 2, quiet)
        assert files_in(target) == store.contents

    def test_content_that_arrives_changed_does_not_appear(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Flipping(MemoryStore):
            def get(self, key: str, into: object) -> Entry:
                into.write(b"flipped")  # type: ignore[attr-defined]
                return self.entry(key)

        monkeypatch.setattr(retrying, "ATTEMPTS", 1)
        store = Flipping(a=b"content")
        with pytest.raises(StoreError, match="arrived changed") as caught:
            download(store, list(store.list()), target, 1, quiet)
        assert caught.value.why is Why.BROKEN
        assert files_in(target) == {}

    def test_an_object_that_changes_after_the_listing_does_not_appear(self, target: Path) -> None:
        store = MemoryStore(a=b"old")
        entries = list(store.list())
        store.contents["a"] = b"new"
        with pytest.raises(StoreError, match="has changed since it was listed") as caught:
            download(store, entries, target, 1, quiet)
        assert (caught.value.why, caught.value.code.code) == (Why.CHANGED, "S302")
        assert files_in(target) == {}

    @pytest.mark.parametrize("key", ["../../escaped", "/absolute", "a/../../b", "a//b", ""])
    def test_a_key_that_leads_out_is_refused_before_anything_is_moved(self, target: Path, key: str) -> None:
        store = MemoryStore(**{"good": b"", key: b"evil"})
        with pytest.raises(StoreError) as caught:
            download(store, list(store.list()), target, 1, quiet)
        assert caught.value.why is Why.BAD_KEY
        assert repr(key) in caught.value.message
        assert store.got == []

    def test_a_key_that_is_file_and_folder_is_refused_with_both_names(self, target: Path) -> None:
        store = MemoryStore(**{"data/a": b"file", "data/a-b": b"between", "data/a/b": b"in the folder"})
        with pytest.raises(StoreError) as caught:
            download(store, list(store.list()), target, 1, quiet)
        assert caught.value.why is Why.BAD_KEY
        assert "'data/a'" in caught.value.message
        assert "'data/a/b'" in caught.value.message

    def test_a_link_in_the_target_is_not_followed(self, target: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        target.mkdir()
        (target / "a").symlink_to(outside)
        store = MemoryStore(**{"a/b": b"evil"})
        with pytest.raises(StoreError) as caught:
            download(store, list(store.list()), target, 1, quiet)
        assert caught.value.why is Why.BAD_KEY
        assert list(outside.iterdir()) == []

    def test_too_much_for_the_disk_is_refused_before_anything_is_moved(self, target: Path) -> None:
        store = MemoryStore()
        with pytest.raises(TrainyardError, match="has room for") as caught:
            download(store, [Entry("a", 10**18, "etag")], target, 1, quiet)
        assert caught.value.code.code == "S302"
        assert store.got == []

    def test_progress_is_reported_a_few_times(self, store: MemoryStore, target: Path) -> None:
        reported: list[str] = []
        download(store, list(store.list()), target, 4, reported.append)
        assert reported[0] == "downloading 41 files, 200000 bytes, bucket memory at http://nowhere"
        assert re.fullmatch(r"downloading: 100 %, \d+ files, 200000 bytes, [0-9.]+ MB/s", reported[-1])
        assert len(reported) <= 11


class TestUpload:
    def test_everything_is_stored_below_the_prefix(self) -> None:
        store = MemoryStore()
        sent = upload(store, [source("a/b", b"one"), source("empty", b"")], "id/", 2, quiet)
        assert store.contents == {"id/a/b": b"one", "id/empty": b""}
        assert (sent.files, sent.bytes, sent.moved_files, sent.moved_bytes) == (2, 3, 2, 3)

    def test_what_is_there_with_the_same_content_is_not_sent_again(self) -> None:
        store = MemoryStore(**{"id/same": b"one", "id/other": b"two"})
        sent = upload(store, [source("same", b"one"), source("other", b"TWO"), source("new", b"3")], "id/", 2, quiet)
        assert sorted(store.sent) == ["id/new", "id/other"]
        assert (sent.files, sent.moved_files) == (3, 2)

    def test_what_was_stored_in_parts_is_known_by_its_etag(self) -> None:
        content = b"x" * 100
        etag = multipart_etag(io.BytesIO(content), len(content))
        store = MemoryStore(a=content)
        store.entry = lambda key: Entry(key, 100, etag)  # type: ignore[method-assign]
        store.etag_in_parts = multipart_etag  # type: ignore[method-assign, assignment]
        assert etag.endswith("-1")
        assert upload(store, [source("a", content)], "", 1, quiet).moved_files == 0
        assert upload(store, [source("a", b"y" * 100)], "", 1, quiet).moved_files == 1

    def test_a_file_that_the_listing_lacks_afterwards_is_an_incomplete_upload(self) -> None:
        store = MemoryStore()
        store.hidden = {"b"}
        with pytest.raises(StoreError) as caught:
            upload(store, [source("a", b"1"), source("b", b"2")], "", 2, quiet, patience=0)
        assert (caught.value.why, caught.value.code.code) == (Why.INCOMPLETE, "S305")
        assert "1 of 2 files" in caught.value.message
        assert "'b'" in caught.value.message

    def test_a_file_that_is_listed_with_other_content_is_an_incomplete_upload(self) -> None:
        store = MemoryStore()
        put = store.put

        def put_badly(key: str, file: object, size: int) -> Entry:
            entry = put(key, file, size)  # type: ignore[arg-type]
            store.contents[key] = b"?"
            return entry

        store.put = put_badly  # type: ignore[method-assign]
        with pytest.raises(StoreError) as caught:
            upload(store, [source("a", b"1")], "", 1, quiet, patience=0)
        assert caught.value.why is Why.INCOMPLETE

    def test_a_listing_that_lags_behind_is_waited_for(self) -> None:
        store = MemoryStore()
        store.hidden = {"a"}
        listed = store.list

        def lagging(prefix: str = "") -> object:
            entries = list(listed(prefix))
            if store.sent:
                store.hidden.clear()
            return iter(entries)

        store.list = lagging  # type: ignore[method-assign, assignment]
        assert upload(store, [source("a", b"1")], "", 1, quiet, patience=10).files == 1

    def test_content_that_arrives_changed_is_sent_again(self) -> None:
        store = MemoryStore()
        put = store.put

        def flip_once(key: str, file: object, size: int) -> Entry:
            entry = put(key, file, size)  # type: ignore[arg-type]
            return entry if len(store.sent) > 1 else Entry(key, size, "0" * 32, "0" * 32)

        store.put = flip_once  # type: ignore[method-assign]
        upload(store, [source("a", b"1")], "", 1, quiet)
        assert store.sent == ["a", "a"]

    def test_a_file_that_vanishes_fails_unless_others_share_it(self) -> None:
        def gone() -> io.BytesIO:
            raise FileNotFoundError("gone")

        def shrinks() -> io.BytesIO:
            raise FileShrankError

        for opened in (gone, shrinks):
            store = MemoryStore()
            both = [Source("gone", 3, opened), source("a", b"1")]
            with pytest.raises((FileNotFoundError, FileShrankError)):
                upload(store, both, "", 1, quiet)
            assert upload(store, both, "", 1, quiet, shared=True).files == 1
            assert store.contents == {"a": b"1"}

    def test_a_bad_key_is_left_out_and_costs_no_other_file(self) -> None:
        store = MemoryStore()
        done = upload(store, [source("a", b"1"), source("../b", b"2"), source("c" * 300, b"3")], "id/", 1, quiet)
        assert store.sent == ["id/a"]
        assert set(done.left_out) == {"../b", "c" * 300}

    def test_keys_that_cannot_be_files_beside_each_other_are_refused_before_anything_is_sent(self) -> None:
        store = MemoryStore()
        with pytest.raises(StoreError):
            upload(store, [source("a", b"1"), source("a/b", b"2")], "id/", 1, quiet)
        assert store.sent == []


def test_keys_that_only_share_a_beginning_are_fine() -> None:
    check_keys(["a", "a.b", "a-b/c", "ab/c", "b/a", "b/a.b"])
