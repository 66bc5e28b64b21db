"""What the dataset cache has is given to those alone who may read the bucket themselves, and counted."""

from __future__ import annotations

import os

import pytest
from dataset_samples import OTHER, REF, Bucket, files_in, obtain

from trainyard.stores.base import StoreError, Why
from trainyard.stores.refusals import refusal
from trainyard.stores.sampling import check_readable
from trainyard.workspace.copies import Copy
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace

pytest_plugins = ["dataset_fixtures"]


def of_another_key(store: Bucket, *unreadable: str) -> Bucket:
    """The same bucket as another key sees it, which may list all and not read everything."""
    other = Bucket(**store.contents)

    def refuse(key: str) -> None:
        if key.startswith(unreadable):
            raise refusal(Why.FORBIDDEN, other.place, "read from", key)

    other.on_get = refuse
    return other


class TestWhoMayNotRead:
    def test_a_key_that_lists_and_may_not_read_gets_no_cached_version(self, cache: DatasetCache, store: Bucket) -> None:
        obtain(cache, store)
        with pytest.raises(StoreError) as caught:
            obtain(cache, of_another_key(store, ""), "training-b")
        assert (caught.value.why, caught.value.code.code) == (Why.FORBIDDEN, "C103")
        assert cache.held("training-b") is None

    def test_nor_does_one_that_may_read_another_folder_only(self, cache: DatasetCache, store: Bucket) -> None:
        obtain(cache, store)
        with pytest.raises(StoreError):
            obtain(cache, of_another_key(store, "train/"), "training-b")

    def test_nor_files_of_an_older_version_in_a_new_one(self, cache: DatasetCache, store: Bucket) -> None:
        obtain(cache, store)
        del store.contents["labels"]
        with pytest.raises(StoreError):
            obtain(cache, of_another_key(store, ""), "training-b")

    def test_nor_files_of_a_download_that_another_key_began(self, cache: DatasetCache, store: Bucket) -> None:
        store.fail_after(6)
        with pytest.raises(StoreError):
            obtain(cache, store)
        with pytest.raises(StoreError):
            obtain(cache, of_another_key(store, *store.whole), "training-b")
        assert cache.cached() == []

    def test_one_that_may_read_shares_the_copy(self, cache: DatasetCache, store: Bucket) -> None:
        first = obtain(cache, store)
        again = obtain(cache, of_another_key(store, "no such key"), "training-b")
        assert (again.path, again.hit) == (first.path, True)


class TestSamples:
    def test_one_small_object_of_each_top_folder_is_looked_at(self) -> None:
        store = Bucket(**{"a/x/large": bytes(9000), "a/small": b"1", "b/only": b"2", "top": b"3", "other": b"44"})
        check_readable(store, list(store.list()), 1)
        assert sorted(store.got) == ["a/small", "b/only", "top"]
        assert store.whole == []

    def test_of_many_folders_eight_are_looked_at_from_the_first_on(self) -> None:
        store = Bucket(**{f"{number:03}/file": b"1" for number in range(100)})
        check_readable(store, list(store.list()), 1)
        assert [key[:3] for key in store.got] == ["000", "012", "025", "037", "050", "062", "075", "087"]

    def test_an_empty_object_shows_it_as_well(self) -> None:
        store = Bucket(empty=b"")
        check_readable(store, list(store.list()), 1)
        assert store.got == ["empty"]


class TestCounts:
    def test_a_version_is_counted_with_its_users_and_hits(self, cache: DatasetCache, store: Bucket) -> None:
        dataset = obtain(cache, store)
        for run in ("training-b", "training-c"):
            obtain(cache, store, run)
        cache.release("training-a")
        (found,) = cache.cached()
        assert (found.place, found.version, found.files, found.bytes) == (store.place, dataset.version, 11, 30_010)
        assert (found.users, found.hits) == (("training-b", "training-c"), 2)

    def test_a_run_that_is_staged_again_is_no_further_hit(self, cache: DatasetCache, store: Bucket) -> None:
        for _ in range(3):
            obtain(cache, store)
        assert cache.cached()[0].hits == 0

    def test_a_version_was_last_used_when_a_run_took_it_or_let_go_of_it(
        self, cache: DatasetCache, store: Bucket
    ) -> None:
        dataset = obtain(cache, store)
        used = Copy(dataset.path.parent, dataset.version).used

        def is_used_now_after_long() -> bool:
            return cache.cached()[0].last_used > 1000

        os.utime(used, (1000, 1000))
        assert not is_used_now_after_long()
        obtain(cache, store, "training-b")
        assert is_used_now_after_long()
        os.utime(used, (1000, 1000))
        cache.release("training-b")
        assert is_used_now_after_long()

    def test_versions_come_by_bucket_and_the_last_used_first(self, cache: DatasetCache, store: Bucket) -> None:
        old = obtain(cache, store)
        os.utime(Copy(old.path.parent, old.version).used, (1000, 1000))
        store.contents["added"] = b"1"
        new = obtain(cache, store, "training-b")
        assert [found.version for found in cache.cached()] == [new.version, old.version]

    def test_the_same_content_of_another_bucket_is_a_version_of_its_own(
        self, cache: DatasetCache, store: Bucket, workspace: Workspace
    ) -> None:
        obtain(cache, store)
        obtain(cache, store, "training-b", OTHER)
        keys = {found.key for found in cache.cached()}
        assert keys == {workspace.dataset(ref).name for ref in (REF, OTHER)}

    def test_counts_that_were_lost_are_made_from_what_is_there(self, cache: DatasetCache, store: Bucket) -> None:
        dataset = obtain(cache, store)
        used = Copy(dataset.path.parent, dataset.version).used
        for text in ("", "{half", "[]", '{"of another release": 3}'):
            used.write_text(text)
            assert obtain(cache, store).hit
        used.unlink()
        (found,) = cache.cached()
        assert (found.files, found.bytes) == (11, 30_010)
        cache.release("training-a")
        assert len(cache.evict(0)) == 1

    def test_an_evicted_version_is_not_listed_and_leaves_nothing(self, cache: DatasetCache, store: Bucket) -> None:
        dataset = obtain(cache, store)
        cache.release("training-a")
        cache.evict(0)
        assert cache.cached() == []
        assert files_in(dataset.path.parent) == {".cache/lock": b""}
