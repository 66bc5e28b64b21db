"""Making room in the dataset cache: the longest unused goes first, and nothing that is in use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dataset_samples import OTHER, REF, Bucket, files_in, obtain

from trainyard.errors import TrainyardError
from trainyard.stores.base import StoreError
from trainyard.stores.moving.values import Terms
from trainyard.workspace.copies import Copy
from trainyard.workspace.datasets import Dataset, DatasetCache
from trainyard.workspace.layout import Workspace

pytest_plugins = ["dataset_fixtures"]


def unused_since(moment: int, dataset: Dataset) -> None:
    os.utime(Copy(dataset.path.parent, dataset.version).used, (moment, moment))


def test_what_a_run_holds_stays(cache: DatasetCache, store: Bucket) -> None:
    dataset = obtain(cache, store)
    assert cache.evict(0) == []
    cache.release("training-a")
    assert [Path(path).name for path in cache.evict(0)] == [dataset.version]
    assert not dataset.path.exists()
    assert obtain(cache, store).downloaded_bytes == 30_010


def test_the_longest_unused_goes_first_and_only_as_much_as_is_needed(
    cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    digits, letters = obtain(cache, store, "training-a"), obtain(cache, store, "training-b", OTHER)
    for run in ("training-b", "training-a"):
        cache.release(run)
    unused_since(2000, digits)
    unused_since(1000, letters)
    assert cache.evict(60_020) == []
    assert cache.evict(60_019) == [workspace.subpath(letters.path)]
    assert digits.path.exists()


def test_files_that_versions_share_count_once(cache: DatasetCache, store: Bucket) -> None:
    old = obtain(cache, store)
    store.contents["added"] = b"12345"
    new = obtain(cache, store)
    cache.release("training-a")
    unused_since(1000, old)
    assert cache.evict(30_015) == []
    assert len(cache.evict(30_014)) == 2
    assert not new.path.exists()


def test_an_evicted_version_does_not_take_the_files_of_another(cache: DatasetCache, store: Bucket) -> None:
    old = obtain(cache, store, "training-a")
    store.contents["added"] = b"12345"
    new = obtain(cache, store, "training-b")
    cache.release("training-a")
    assert len(cache.evict(0)) == 1
    assert not old.path.exists()
    assert files_in(new.path) == store.contents


def test_an_abandoned_download_goes_too_but_not_one_that_is_running(
    cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    evicted: list[list[str]] = []
    store.fail_after(6, lambda: evicted.append(cache.evict(0)))
    with pytest.raises(StoreError):
        obtain(cache, store)
    assert evicted == [[]]
    assert len(cache.evict(0)) == 1
    assert {path.name for path in workspace.dataset(REF).glob(".cache/*")} == {"lock"}


def test_a_run_that_moves_to_a_new_version_lets_go_of_the_old(cache: DatasetCache, store: Bucket) -> None:
    old = obtain(cache, store)
    store.contents["added"] = b"12345"
    new = obtain(cache, store)
    assert cache.held("training-a") == Dataset(new.path, new.version, 12, 30_015, 0, True)
    cache.evict(0)
    assert (old.path.exists(), new.path.exists()) == (False, True)


def test_holding_by_path_and_releasing_twice_are_fine(cache: DatasetCache, store: Bucket) -> None:
    dataset = obtain(cache, store)
    cache.hold(dataset.path, "training-b")
    cache.release("training-a")
    cache.release("training-a")
    assert cache.held("training-a") is None
    assert cache.evict(0) == []


class TestRoomForADownload:
    """A dataset that would not fit lets what no run uses go first, and nothing else."""

    def test_the_longest_unused_goes_before_the_cache_would_be_too_large(
        self, cache: DatasetCache, store: Bucket, workspace: Workspace
    ) -> None:
        letters, old = obtain(cache, store, "training-b", OTHER), obtain(cache, store)
        for run in ("training-a", "training-b"):
            cache.release(run)
        unused_since(1000, letters)
        unused_since(2000, old)
        store.contents = {"other": bytes(5000)}
        reported: list[str] = []
        small = DatasetCache(workspace, 60_000)
        new = small.obtain(REF, store, "training-c", 1, reported.append)
        assert (letters.path.exists(), old.path.exists(), new.path.exists()) == (False, True, True)
        gone = f"removed version {letters.version} of {store.place}, which no run uses, to make room"
        assert gone in reported

    def test_what_fits_lets_nothing_go(self, cache: DatasetCache, store: Bucket, workspace: Workspace) -> None:
        letters = obtain(cache, store, "training-b", OTHER)
        cache.release("training-b")
        obtain(DatasetCache(workspace, 60_020), store)
        assert letters.path.exists()

    def test_what_is_in_use_stays_even_if_the_cache_gets_too_large(
        self, cache: DatasetCache, store: Bucket, workspace: Workspace
    ) -> None:
        letters = obtain(cache, store, "training-b", OTHER)
        digits = obtain(DatasetCache(workspace, 1), store)
        assert letters.path.exists()
        assert files_in(digits.path) == store.contents

    def test_files_that_the_new_version_shares_with_the_old_need_no_room(
        self, cache: DatasetCache, store: Bucket, workspace: Workspace
    ) -> None:
        old = obtain(cache, store)
        cache.release("training-a")
        store.contents["added"] = b"12345"
        new = obtain(DatasetCache(workspace, 30_015), store, "training-b")
        assert (old.path.exists(), new.downloaded_bytes) == (True, 5)

    def test_the_old_version_of_the_same_bucket_may_go_and_its_shared_files_stay(
        self, cache: DatasetCache, store: Bucket, workspace: Workspace
    ) -> None:
        old = obtain(cache, store)
        cache.release("training-a")
        store.contents |= {"train/3": bytes(3000), "train/4": bytes(3000)}
        new = obtain(DatasetCache(workspace, 30_010), store, "training-b")
        assert (old.path.exists(), new.downloaded_bytes) == (False, 6000)
        assert files_in(new.path) == store.contents

    def test_a_full_disk_lets_all_go_that_no_run_uses_before_the_download_is_refused(
        self, cache: DatasetCache, store: Bucket
    ) -> None:
        letters, digits = obtain(cache, store, "training-b", OTHER), obtain(cache, store)
        cache.release("training-b")
        store.contents["added"] = b"12345"
        more_than_any_disk = Terms(reserve=2**62)
        with pytest.raises(TrainyardError) as caught:
            cache.obtain(REF, store, "training-c", 1, lambda text: None, terms=more_than_any_disk)
        assert caught.value.code.code == "S302"
        assert (letters.path.exists(), digits.path.exists()) == (False, True)
