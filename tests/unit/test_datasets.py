"""The dataset cache: one download for all runs, shared files, no half datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from dataset_samples import REF, Bucket, files_in, obtain
from memorystore import MemoryStore
from storeservers import wait_for

from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.refusals import refusal
from trainyard.workspace.copies import Copy
from trainyard.workspace.datasets import DatasetCache, version_of
from trainyard.workspace.layout import Workspace

pytest_plugins = ["dataset_fixtures"]


def test_a_bucket_becomes_a_folder(cache: DatasetCache, store: Bucket, workspace: Workspace) -> None:
    dataset = obtain(cache, store)
    assert files_in(dataset.path) == store.contents
    assert dataset.path == workspace.dataset(REF) / version_of(store.list())
    assert (dataset.files, dataset.bytes, dataset.downloaded_bytes, dataset.hit) == (11, 30_010, 30_010, False)


def test_data_files_cannot_be_written_and_all_can_read_them(cache: DatasetCache, store: Bucket) -> None:
    before = os.umask(0o077)
    try:
        dataset = obtain(cache, store)
    finally:
        os.umask(before)
    assert (dataset.path / "labels").stat().st_mode & 0o777 == 0o444
    assert (dataset.path / "train").stat().st_mode & 0o777 == 0o755


def test_the_next_run_downloads_nothing(cache: DatasetCache, store: Bucket) -> None:
    first = obtain(cache, store)
    store.work_again()
    second = obtain(cache, store, "training-b")
    assert (second.path, second.hit, second.downloaded_bytes) == (first.path, True, 0)
    assert store.whole == []


def test_ten_runs_at_once_download_once_and_the_others_wait(cache: DatasetCache, store: Bucket) -> None:
    reported: list[str] = []
    store.on_get = lambda key: wait_for(lambda: sum("waiting for" in text for text in reported) == 9)
    with ThreadPoolExecutor(10) as pool:
        runs = [pool.submit(cache.obtain, REF, store, f"training-{n}", 1, reported.append) for n in range(10)]
        datasets = [run.result(240) for run in runs]
    assert sorted(store.whole) == sorted(store.contents)
    assert sum(not dataset.hit for dataset in datasets) == 1
    assert len({dataset.path for dataset in datasets}) == 1


def test_a_changed_bucket_is_a_new_version_that_shares_what_did_not_change(cache: DatasetCache, store: Bucket) -> None:
    old = obtain(cache, store)
    before = files_in(old.path)
    store.contents |= {"train/3": b"new", "train/new": b"more"}
    del store.contents["labels"]
    store.work_again()
    new = obtain(cache, store)
    assert new.version != old.version
    assert (files_in(new.path), files_in(old.path)) == (store.contents, before)
    assert sorted(store.whole) == ["train/3", "train/new"]
    assert new.downloaded_bytes == 7
    assert (new.path / "train/1").stat().st_ino == (old.path / "train/1").stat().st_ino


def test_a_half_finished_download_is_invisible_and_resumed(
    cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    store.fail_after(6)
    with pytest.raises(StoreError):
        obtain(cache, store)
    assert list(workspace.dataset(REF).glob("[!.]*")) == []
    first = store.work_again()
    dataset = obtain(cache, store)
    assert files_in(dataset.path) == store.contents
    assert len(first) == 6
    assert not set(first) & set(store.whole)


def test_a_bucket_that_changed_during_a_broken_download_keeps_what_has_arrived(
    cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    store.fail_after(6)
    with pytest.raises(StoreError):
        obtain(cache, store)
    first = store.work_again()
    store.contents["added"] = b"later"
    assert files_in(obtain(cache, store).path) == store.contents
    assert len(first) == 6
    assert not set(first) & set(store.whole)
    assert [path.name for path in workspace.dataset(REF).glob(".cache/*.incoming*")] == []


def test_a_version_that_lost_files_with_the_machines_power_is_mended(
    cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    dataset = obtain(cache, store)
    lost = dataset.path / "train/3"
    lost.unlink()
    lost.write_bytes(b"")
    os.utime(Copy(workspace.dataset(REF), dataset.version).used, (1000, 1000))
    store.work_again()
    again = obtain(cache, store, "training-b")
    assert (again.path, again.downloaded_bytes, store.whole) == (dataset.path, 3000, ["train/3"])
    assert files_in(again.path) == store.contents
    assert obtain(cache, store, "training-c").hit


def test_a_version_that_lost_nothing_with_the_machines_power_is_used(
    cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    dataset = obtain(cache, store)
    os.utime(Copy(workspace.dataset(REF), dataset.version).used, (1000, 1000))
    assert obtain(cache, store, "training-b").hit


def test_an_empty_bucket_is_refused_with_its_name(cache: DatasetCache) -> None:
    with pytest.raises(StoreError) as caught:
        obtain(cache, MemoryStore())
    assert (caught.value.why, caught.value.code.code) == (Why.EMPTY, "C103")
    assert caught.value.message == "bucket memory at http://nowhere is empty"


def test_what_is_not_wanted_is_left_out(cache: DatasetCache, store: Bucket) -> None:
    def is_train(entry: Entry) -> bool:
        return entry.key.startswith("train/")

    dataset = cache.obtain(REF, store, "training-a", 1, lambda text: None, is_train)
    assert set(files_in(dataset.path)) == store.contents.keys() - {"labels"}


def test_a_version_is_named_after_keys_sizes_and_etags_in_any_order() -> None:
    one, two = Entry("a", 1, "x"), Entry("b", 2, "y")
    assert version_of([one, two]) == version_of([two, one])
    changed = [Entry("c", 1, "x"), Entry("a", 3, "x"), Entry("a", 1, "z")]
    assert len({version_of([entry, two]) for entry in [one, *changed]}) == 4


def test_a_version_that_is_kept_is_given_whatever_the_bucket_has_now(cache: DatasetCache, store: Bucket) -> None:
    old = obtain(cache, store)
    before = files_in(old.path)
    store.contents["train/3"] = b"new"
    obtain(cache, store)
    kept = cache.kept(REF, store, "training-b", old.version)
    assert kept is not None
    assert files_in(kept.path) == before
    held = cache.held("training-b")
    assert held is not None
    assert held.version == old.version


def test_a_version_that_is_gone_broken_or_none_is_not_given(cache: DatasetCache, store: Bucket) -> None:
    old = obtain(cache, store)
    assert cache.kept(REF, store, "training-b", "../../runs") is None
    assert cache.kept(REF, store, "training-b", "0" * 16) is None
    (old.path / "labels").unlink()
    assert cache.kept(REF, store, "training-b", old.version) is None
    assert cache.held("training-b") is None


def test_a_kept_version_is_not_given_to_who_cannot_list_the_bucket(cache: DatasetCache, store: Bucket) -> None:
    class Closed(Bucket):
        def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
            raise refusal(Why.FORBIDDEN, self.place, "listed")

    old = obtain(cache, store)
    with pytest.raises(StoreError):
        cache.kept(REF, Closed(), "training-b", old.version)
