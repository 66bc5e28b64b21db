"""The dataset cache: one download for all runs, shared files, no half datasets, nothing in use evicted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from memorystore import MemoryStore
from storeservers import wait_for

from trainyard.domain.training import StoreRef
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.refusals import refusal
from trainyard.workspace.datasets import Dataset, DatasetCache, version_of
from trainyard.workspace.layout import Workspace

REF = StoreRef("s3", "digits", "https://objects.example.com")
OTHER = StoreRef("s3", "letters", "https://objects.example.com")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def cache(workspace: Workspace) -> DatasetCache:
    return DatasetCache(workspace)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(**{f"train/{number}": bytes([number]) * 3000 for number in range(10)}, labels=b"0123456789")


def obtain(cache: DatasetCache, store: MemoryStore, user: str = "training-a", ref: StoreRef = REF) -> Dataset:
    return cache.obtain(ref, store, user, 2, lambda text: None)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bucket_becomes_a_folder(cache: DatasetCache, store: MemoryStore, workspace: Workspace) -> None:
    dataset = obtain(cache, store)
    assert files_in(dataset.path) == store.contents
    assert dataset.path == workspace.dataset(REF) / version_of(store.list())
    assert (dataset.files, dataset.bytes, dataset.downloaded_bytes, dataset.hit) == (11, 30_010, 30_010, False)


def test_data_files_cannot_be_written_and_all_can_read_them(cache: DatasetCache, store: MemoryStore) -> None:
    before = os.umask(0o077)
    try:
        dataset = obtain(cache, store)
    finally:
        os.umask(before)
    assert (dataset.path / "labels").stat().st_mode & 0o777 == 0o444
    assert (dataset.path / "train").stat().st_mode & 0o777 == 0o755


def test_the_next_run_downloads_nothing(cache: DatasetCache, store: MemoryStore) -> None:
    first = obtain(cache, store)
    store.got.clear()
    second = obtain(cache, store, "training-b")
    assert (second.path, second.hit, second.downloaded_bytes) == (first.path, True, 0)
    assert store.got == []


def test_ten_runs_at_once_download_once_and_the_others_wait(cache: DatasetCache, store: MemoryStore) -> None:
    told: list[str] = []
    store.on_get = lambda key: wait_for(lambda: sum("waiting for" in text for text in told) == 9)
    with ThreadPoolExecutor(10) as pool:
        runs = [pool.submit(cache.obtain, REF, store, f"training-{n}", 1, told.append) for n in range(10)]
        datasets = [run.result(30) for run in runs]
    assert sorted(store.got) == sorted(store.contents)
    assert sum(not dataset.hit for dataset in datasets) == 1
    assert len({dataset.path for dataset in datasets}) == 1


def test_a_changed_bucket_is_a_new_version_that_shares_what_did_not_change(
    cache: DatasetCache, store: MemoryStore
) -> None:
    old = obtain(cache, store)
    before = files_in(old.path)
    store.contents |= {"train/3": b"new", "train/new": b"more"}
    del store.contents["labels"]
    store.got.clear()
    new = obtain(cache, store)
    assert new.version != old.version
    assert (files_in(new.path), files_in(old.path)) == (store.contents, before)
    assert sorted(store.got) == ["train/3", "train/new"]
    assert new.downloaded_bytes == 7
    assert (new.path / "train/1").stat().st_ino == (old.path / "train/1").stat().st_ino


def test_a_half_finished_download_is_invisible_and_resumed(
    cache: DatasetCache, store: MemoryStore, workspace: Workspace
) -> None:
    def fail(key: str) -> None:
        if len(store.got) > 6:
            raise refusal(Why.UNREACHABLE, store.place, "read from")

    store.on_get = fail
    with pytest.raises(StoreError):
        obtain(cache, store)
    assert list(workspace.dataset(REF).glob("[!.]*")) == []
    store.on_get, first = lambda key: None, store.got[:6]
    store.got.clear()
    dataset = obtain(cache, store)
    assert files_in(dataset.path) == store.contents
    assert not set(first) & set(store.got)


def test_a_bucket_that_changed_during_a_broken_download_keeps_what_has_arrived(
    cache: DatasetCache, store: MemoryStore, workspace: Workspace
) -> None:
    def fail(key: str) -> None:
        if len(store.got) > 6:
            raise refusal(Why.UNREACHABLE, store.place, "read from")

    store.on_get = fail
    with pytest.raises(StoreError):
        obtain(cache, store)
    store.on_get, first = lambda key: None, store.got[:6]
    store.got.clear()
    store.contents["added"] = b"later"
    assert files_in(obtain(cache, store).path) == store.contents
    assert not set(first) & set(store.got)
    assert [path.name for path in workspace.dataset(REF).glob(".cache/*.incoming*")] == []


def test_the_lock_of_a_stager_that_was_killed_is_free(
    cache: DatasetCache, store: MemoryStore, workspace: Workspace
) -> None:
    lock = workspace.dataset(REF) / ".cache" / "lock"
    program = f"""
import sys, time
from pathlib import Path
from trainyard.workspace.locks import locked
with locked(Path({str(lock)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        waiting = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(cache.obtain, REF, store, "training-a", 1, lambda text: waiting.set())
            assert waiting.wait(20)
            assert not run.done()
            holder.kill()
            assert run.result(20).files == 11


def test_an_empty_bucket_is_refused_with_its_name(cache: DatasetCache) -> None:
    with pytest.raises(StoreError) as caught:
        obtain(cache, MemoryStore())
    assert (caught.value.why, caught.value.code.code) == (Why.EMPTY, "C103")
    assert caught.value.message == "bucket memory at http://nowhere is empty"


def test_what_is_not_wanted_is_left_out(cache: DatasetCache, store: MemoryStore) -> None:
    def is_train(entry: Entry) -> bool:
        return entry.key.startswith("train/")

    dataset = cache.obtain(REF, store, "training-a", 1, lambda text: None, is_train)
    assert set(files_in(dataset.path)) == store.contents.keys() - {"labels"}


class TestEviction:
    def test_what_a_run_holds_stays(self, cache: DatasetCache, store: MemoryStore) -> None:
        dataset = obtain(cache, store)
        assert cache.evict(0) == []
        cache.release("training-a")
        assert [Path(path).name for path in cache.evict(0)] == [dataset.version]
        assert not dataset.path.exists()
        assert obtain(cache, store).downloaded_bytes == 30_010

    def test_the_longest_unused_goes_first_and_only_as_much_as_is_needed(
        self, cache: DatasetCache, store: MemoryStore, workspace: Workspace
    ) -> None:
        digits, letters = obtain(cache, store, "training-a"), obtain(cache, store, "training-b", OTHER)
        for run in ("training-b", "training-a"):
            cache.release(run)
        for dataset, used in ((digits, 2000), (letters, 1000)):
            os.utime(dataset.path.parent / ".cache" / f"{dataset.version}.used", (used, used))
        assert cache.evict(60_020) == []
        assert cache.evict(60_019) == [workspace.subpath(letters.path)]
        assert digits.path.exists()

    def test_files_that_versions_share_count_once(self, cache: DatasetCache, store: MemoryStore) -> None:
        old = obtain(cache, store)
        store.contents["added"] = b"12345"
        new = obtain(cache, store)
        cache.release("training-a")
        os.utime(old.path.parent / ".cache" / f"{old.version}.used", (1000, 1000))
        assert cache.evict(30_015) == []
        assert len(cache.evict(30_014)) == 2
        assert not new.path.exists()

    def test_an_evicted_version_does_not_take_the_files_of_another(
        self, cache: DatasetCache, store: MemoryStore
    ) -> None:
        old = obtain(cache, store, "training-a")
        store.contents["added"] = b"12345"
        new = obtain(cache, store, "training-b")
        cache.release("training-a")
        assert len(cache.evict(0)) == 1
        assert not old.path.exists()
        assert files_in(new.path) == store.contents

    def test_an_abandoned_download_goes_too_but_not_one_that_is_running(
        self, cache: DatasetCache, store: MemoryStore, workspace: Workspace
    ) -> None:
        evicted: list[list[str]] = []

        def evict_then_fail(key: str) -> None:
            if len(store.got) > 6:
                evicted.append(cache.evict(0))
                raise refusal(Why.UNREACHABLE, store.place, "read from")

        store.on_get = evict_then_fail
        with pytest.raises(StoreError):
            cache.obtain(REF, store, "training-a", 1, lambda text: None)
        assert evicted == [[]]
        assert len(cache.evict(0)) == 1
        assert {path.name for path in workspace.dataset(REF).glob(".cache/*")} == {"lock"}

    def test_a_run_that_moves_to_a_new_version_lets_go_of_the_old(
        self, cache: DatasetCache, store: MemoryStore
    ) -> None:
        old = obtain(cache, store)
        store.contents["added"] = b"12345"
        new = obtain(cache, store)
        assert cache.held("training-a") == Dataset(new.path, new.version, 12, 30_015, 0, True)
        cache.evict(0)
        assert (old.path.exists(), new.path.exists()) == (False, True)

    def test_holding_by_path_and_releasing_twice_are_fine(self, cache: DatasetCache, store: MemoryStore) -> None:
        dataset = obtain(cache, store)
        cache.hold(dataset.path, "training-b")
        cache.release("training-a")
        cache.release("training-a")
        assert cache.held("training-a") is None
        assert cache.evict(0) == []


def test_a_version_is_named_after_keys_sizes_and_etags_in_any_order() -> None:
    one, two = Entry("a", 1, "x"), Entry("b", 2, "y")
    assert version_of([one, two]) == version_of([two, one])
    changed = [Entry("c", 1, "x"), Entry("a", 3, "x"), Entry("a", 1, "z")]
    assert len({version_of([entry, two]) for entry in [one, *changed]}) == 4
