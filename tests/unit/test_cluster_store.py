"""The local cluster's store: versions, order, changes, its disk; and patches on what it holds."""

from __future__ import annotations

import pytest

from localkube.objects import Key
from localkube.patching import patched, replacement
from localkube.status import ApiError
from localkube.store import Store

MERGE, STRATEGIC, JSON = (f"application/{kind}+json" for kind in ("merge-patch", "strategic-merge-patch", "json-patch"))


def made(store: Store, name: str, plural: str = "configmaps") -> Key:
    store.create(plural, {"metadata": {"name": name, "namespace": "default"}, "data": {"n": name}})
    return Key(plural, "default", name)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


class TestStore:
    def test_an_object_gets_an_identity_and_every_change_a_version(self, store):
        key = made(store, "a")
        first = store.get(key)
        second = store.modify(key, lambda obj: obj["data"].update(n="b"))
        assert first["metadata"]["uid"] == second["metadata"]["uid"]
        assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])

    def test_whoever_holds_an_object_keeps_it_as_it_was(self, store):
        key = made(store, "a")
        held = store.get(key)
        store.modify(key, lambda obj: obj["data"].update(n="b"))
        assert held["data"] == {"n": "a"}

    def test_a_change_that_changes_nothing_is_none(self, store):
        key = made(store, "a")
        version = store.version
        store.modify(key, lambda obj: obj["data"].update(n="a"))
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
        store.modify(Key("configmaps", "default", "c"), lambda obj: obj["data"].update(n="new"))
        again = Store(tmp_path)
        assert [obj["metadata"]["name"] for obj in again.all("configmaps")] == ["c", "a", "b"]
        assert again.version >= store.version
        assert again.get(Key("configmaps", "default", "c"))["data"] == {"n": "new"}

    def test_a_file_that_was_cut_off_loses_one_object_and_not_all(self, store, tmp_path):
        made(store, "a")
        made(store, "b")
        (tmp_path / "objects/configmaps/default/a.json").write_text("{")
        assert [obj["metadata"]["name"] for obj in Store(tmp_path).all("configmaps")] == ["b"]

    def test_objects_are_for_their_owner_alone(self, store, tmp_path):
        made(store, "a", "secrets")
        assert (tmp_path / "objects/secrets/default/a.json").stat().st_mode & 0o077 == 0

    def test_a_listener_hears_of_every_change(self, store):
        with store.listening() as changed:
            assert not changed.is_set()
            made(store, "a")
            assert changed.is_set()


class TestPatches:
    OLD = {"metadata": {"name": "a", "labels": {"x": "1"}}, "list": [{"name": "p", "v": 1}, {"name": "q"}]}  # noqa: RUF012

    def test_a_merge_adds_replaces_and_removes(self):
        new = patched(self.OLD, {"metadata": {"labels": {"x": None, "y": "2"}}, "list": []}, MERGE)
        assert new == {"metadata": {"name": "a", "labels": {"y": "2"}}, "list": []}

    def test_a_strategic_merge_finds_parts_by_name(self):
        patch = {"list": [{"name": "p", "v": 2}, {"$patch": "delete", "name": "q"}], "$setElementOrder/list": []}
        assert patched(self.OLD, patch, STRATEGIC)["list"] == [{"name": "p", "v": 2}]

    def test_json_patches_are_done_in_their_order(self):
        patch = [
            {"op": "test", "path": "/metadata/name", "value": "a"},
            {"op": "add", "path": "/metadata/labels/a~1b", "value": "3"},
            {"op": "remove", "path": "/list/0"},
            {"op": "replace", "path": "/metadata/labels/x", "value": "2"},
        ]
        new = patched(self.OLD, patch, JSON)
        assert new == {"metadata": {"name": "a", "labels": {"x": "2", "a/b": "3"}}, "list": [{"name": "q"}]}

    @pytest.mark.parametrize(
        ("patch", "kind", "status"),
        [
            ([{"op": "remove", "path": "/none/x"}], JSON, 400),
            ([{"op": "dance", "path": "/x"}], JSON, 400),
            ([{"op": "test", "path": "/metadata/name", "value": "b"}], JSON, 400),
            ("text", MERGE, 400),
            ({}, "application/apply-patch+yaml", 415),
        ],
    )
    def test_what_cannot_be_applied_is_refused(self, patch, kind, status):
        with pytest.raises(ApiError) as caught:
            patched(self.OLD, patch, kind)
        assert caught.value.status == status

    def test_a_patch_leaves_the_object_it_was_made_for_alone(self):
        patched(self.OLD, [{"op": "remove", "path": "/list/0"}], JSON)
        patched(self.OLD, {"metadata": {"labels": {"x": "9"}}}, STRATEGIC)
        assert self.OLD["list"][0] == {"name": "p", "v": 1}
        assert self.OLD["metadata"]["labels"] == {"x": "1"}

    def test_the_name_of_an_object_is_fixed(self, store):
        old = store.get(made(store, "a"))
        with pytest.raises(ApiError, match="field is immutable"):
            replacement("configmaps", old, {**old, "metadata": {**old["metadata"], "name": "b"}})
