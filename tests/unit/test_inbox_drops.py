"""A listing of the inbox becomes drops that know what they lack and what is wrong with them."""

from __future__ import annotations

import pytest

from trainyard.inbox.drops import drops_of
from trainyard.stores.base import Entry


def _drops(*keys, size=7):
    return drops_of(Entry(f"inbox/{key}", size, "e") for key in keys)


def _drop(*names, size=7):
    (drop,) = _drops(*(f"vision/one/{name}" for name in names), size=size)
    return drop


@pytest.mark.parametrize("manifest", ["m.yml", "m.yaml", "m.json", "M.YML"])
def test_one_manifest_and_one_zip_are_complete(manifest):
    drop = _drop(manifest, "model.zip")
    assert (drop.missing, drop.faults, drop.arriving) == ((), (), False)
    assert (drop.inside(drop.manifest), drop.inside(drop.archive)) == (manifest, "model.zip")


def test_every_folder_is_one_drop_of_its_account():
    found = _drops("vision/b/m.yml", "vision/a/m.yml", "speech/a/m.yml", "vision/a/m.zip")
    assert [(drop.account, drop.name, len(drop.entries)) for drop in found] == [
        ("speech", "a", 1),
        ("vision", "a", 2),
        ("vision", "b", 1),
    ]


def test_what_file_managers_leave_behind_does_not_count():
    drop = _drop("m.yml", "model.zip", ".DS_Store", "._m.yml", "Thumbs.db")
    assert (drop.missing, drop.faults) == ((), ())


@pytest.mark.parametrize("name", ["model.zip.part", ".model.zip.Xa3f", "model.zip.filepart", "model.zip.4f2a.partial"])
def test_a_name_of_an_unfinished_upload_is_waited_for(name):
    drop = _drop("m.yml", name)
    assert drop.arriving
    assert drop.faults == ()
    assert [problem.path for problem in drop.missing] == [name, ""]


def test_an_empty_file_is_waited_for():
    assert _drop("m.yml", "model.zip", size=0).arriving


@pytest.mark.parametrize(
    ("names", "stated"),
    [
        (("m.yml", "n.json", "model.zip"), "more than one manifest: m.yml, n.json"),
        (("m.yml", "a.zip", "b.zip"), "more than one zip: a.zip, b.zip"),
        (("m.yml", "model.zip", "README.md"), "neither the manifest nor the zip"),
        (("m.yml", "model.zip", "src/train.py"), "neither the manifest nor the zip"),
        (("m.yml", "sub/model.zip"), "neither the manifest nor the zip"),
    ],
)
def test_anything_else_is_a_fault_with_a_hint(names, stated):
    (fault,) = _drop(*names).faults
    assert stated in fault.message
    assert fault.hint.endswith(".")


@pytest.mark.parametrize(("key", "account"), [("vision/m.yml", "vision"), ("m.yml", "")])
def test_files_without_a_folder_of_their_own_are_a_fault(key, account):
    (drop,) = _drops(key)
    assert (drop.account, drop.name) == (account, "")
    assert "no folder of their own" in drop.faults[0].message


def test_keys_that_no_file_could_have_are_passed_over():
    assert _drops("vision/one//m.yml", "vision/../m.yml") == []


def test_the_fingerprint_changes_with_any_file():
    seen = {_drop("m.yml").fingerprint, _drop("m.yml", "a.zip").fingerprint, _drop("m.yml", size=8).fingerprint}
    assert len(seen) == 3
    assert _drop("m.yml").fingerprint == _drop("m.yml").fingerprint
