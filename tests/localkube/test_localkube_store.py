"""The local cluster's store: versions, order, changes, its disk; and patches on what it holds."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from localkube.changes import patched
from localkube.errors import ApiError
from localkube.objects import Key
from localkube.store import Store
from localkube.watch import WatchRequest, watch

MERGE, STRATEGIC, JSON = (f"application/{kind}+json" for kind in ("merge-patch", "strategic-merge-patch", "json-patch"))


def made(store: Store, name: str, plural: str = "pods") -> Key:
    store.create(plural, {"metadata": {"name": name, "namespace": "default"}, "spec": {"n": name}})
    return Key(plural, "default", name)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


class TestStore:
    def test_an_object_gets_an_identity_and_every_change_a_version(self, store):
        key = made(store, "a")
        first = store.get(key)
        second = store.modify(key, lambda obj: obj["spec"].update(n="b"))
        assert first["metadata"]["uid"] == second["metadata"]["uid"]
        assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])

    def test_whoever_holds_an_object_keeps_it_as_it_was(self, store):
        key = made(store, "a")
        held = store.get(key)
        store.modify(key, lambda obj: obj["spec"].update(n="b"))
        assert held["spec"] == {"n": "a"}

    def test_a_change_that_changes_nothing_is_none(self, store):
        key = made(store, "a")
        version = store.version
        store.modify(key, lambda obj: obj["spec"].update(n="a"))
        assert store.version == version

    def test_names_are_taken_and_given_back(self, store):
        key = made(store, "a")
        with pytest.raises(ApiError, match="already exists"):
            made(store, "a")
        store.remove(key)
        assert store.find(key) is None
        made(store, "a")

    def test_all_is_there_again_in_its_old_order_after_a_restart(self, store, tmp_path):
        for name in ("c", "a", "b"):
            made(store, name)
        store.modify(Key("pods", "default", "c"), lambda obj: obj["spec"].update(n="new"))
        again = Store(tmp_path)
        assert [obj["metadata"]["name"] for obj in again.all("pods")] == ["c", "a", "b"]
        assert again.version >= store.version
        assert again.get(Key("pods", "default", "c"))["spec"] == {"n": "new"}

    def test_a_file_that_was_cut_off_loses_one_object_and_not_all(self, store, tmp_path):
        made(store, "a")
        made(store, "b")
        (tmp_path / "objects/pods/default/a.json").write_text("{")
        assert [obj["metadata"]["name"] for obj in Store(tmp_path).all("pods")] == ["b"]

    def test_objects_are_for_their_owner_alone(self, store, tmp_path):
        made(store, "a")
        assert (tmp_path / "objects/pods/default/a.json").stat().st_mode & 0o077 == 0

    def test_a_listener_hears_of_every_change(self, store):
        with store.listening() as changed:
            assert not changed.is_set()
            made(store, "a")
            assert changed.is_set()


class TestPatches:
    @staticmethod
    def old() -> dict[str, Any]:
        metadata = {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"x": "1"}}
        return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "p"}]}, "status": {}}

    @pytest.mark.parametrize("kind", [MERGE, STRATEGIC])
    def test_a_merge_adds_replaces_and_removes(self, kind):
        patch = {"metadata": {"labels": {"x": None, "y": "2"}}, "$setElementOrder/list": []}
        assert patched("pods", self.old(), patch, kind)["metadata"]["labels"] == {"y": "2"}

    @pytest.mark.parametrize("kind", [JSON, "application/apply-patch+yaml", ""])
    def test_another_kind_of_patch_is_refused(self, kind):
        with pytest.raises(ApiError) as caught:
            patched("pods", self.old(), {}, kind)
        assert caught.value.status == 415

    @pytest.mark.parametrize(
        ("patch", "words"),
        [
            ({"metadata": {"name": "b"}}, "metadata.name"),
            ({"metadata": {"uid": None}}, "metadata.uid"),
            ({"spec": {"containers": [{"name": "q"}]}}, "spec: Forbidden"),
            ({"spec": None}, "spec: Forbidden"),
        ],
    )
    def test_what_is_fixed_cannot_be_changed(self, patch, words):
        with pytest.raises(ApiError, match=words) as caught:
            patched("pods", self.old(), patch, MERGE)
        assert caught.value.status == 422

    @pytest.mark.parametrize("metadata", [None, "text", {"labels": ["x"]}, {"annotations": {"x": 1}}])
    def test_metadata_stays_readable(self, metadata):
        with pytest.raises(ApiError):
            patched("pods", self.old(), {"metadata": metadata}, MERGE)

    def test_a_patch_leaves_the_object_it_was_made_for_and_its_status_alone(self):
        old = self.old()
        new = patched("pods", old, {"metadata": {"labels": {"x": "9"}}, "status": {"phase": "Failed"}}, STRATEGIC)
        assert (old, new["status"]) == (self.old(), {})


def test_what_changes_while_a_watcher_reads_is_told_to_it_too(store):
    async def read() -> list[str]:
        lines = watch(store, WatchRequest("pods", "", lambda _: True, store.version, 5), lambda obj: obj)
        made(store, "b")
        first = await anext(lines)
        made(store, "c")  # the watcher still has the first line in its hands
        return [json.loads(line)["object"]["metadata"]["name"] for line in (first, await anext(lines))]

    made(store, "a")
    assert asyncio.run(read()) == ["b", "c"]
