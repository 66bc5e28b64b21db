"""Who is told of which dataset in the cache; `trainyard datasets`."""

from __future__ import annotations

import pytest
from samples import LIMITS, SPEC, training

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.datasets import Datasets
from trainyard.domain.training import StoreRef
from trainyard.workspace.datasets import Cached
from trainyard.workspace.layout import store_key

pytest_plugins = ["cli_front_door"]

_SPEECH = StoreRef("s3", "voices", "https://objects.example.com")
_GONE = StoreRef("s3", "of-no-training-any-more", "https://objects.example.com")


@pytest.fixture
def datasets(tmp_path):
    """Two accounts with a training each, and a cache with their data, their results, and data of nobody."""
    catalogue = Catalogue(tmp_path)
    catalogue.add(training(), training("training-Xz81mQ0aB", "speech", data=_SPEECH))
    buckets = (SPEC.data, _SPEECH, SPEC.results, _GONE)
    cached = [Cached(store_key(ref), ref.bucket, "v", 1, 1, (), 0, 0.0) for ref in buckets]
    return Datasets(catalogue, lambda: LIMITS, lambda: cached)


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (Caller("ada"), ["training-data"]),
        (Caller("grace"), ["training-data", "voices"]),
        (Caller("mallory"), []),
        (Caller("root", admin=True), ["training-data", "voices", "training-results", "of-no-training-any-more"]),
    ],
)
def test_members_see_what_their_accounts_train_on_and_an_admin_all(datasets, caller, seen):
    assert [each.place for each in datasets.of(caller)] == seen


_DIGITS = {
    "name": "bucket digits at https://objects.example.com",
    "version": "98c5bda557e137ab",
    "size": 1_610_612_736,
    "files": 2000,
    "users": 3,
    "hits": 41,
    "last_used": "2027-01-02T01:30:00Z",
}


def _answer_with(front_door, *datasets):
    from cli_front_door import Answer

    front_door.force("GET", "/v3/datasets", Answer(200, {"resources": datasets, "total": len(datasets)}))


def test_datasets_lists_them(cli, front_door):
    _answer_with(front_door, _DIGITS)
    name, gap = _DIGITS["name"], " " * 43
    assert cli("datasets").out.splitlines() == [
        "Fetching the list of datasets ...",
        f"Name{gap}version            size      files   users   hits   last-used",
        f"{name}   98c5bda557e137ab   1.5 GiB   2000    3       41     2027-01-02T01:30:00Z",
        "",
        "1 records found.",
        "OK",
        "List all datasets successful",
    ]


def test_datasets_as_json_is_what_the_service_answers(cli, front_door):
    _answer_with(front_door, _DIGITS)
    assert cli("datasets", "-o", "json").data == {"resources": [_DIGITS], "total": 1}


@pytest.mark.parametrize(
    ("size", "reported"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (40_000_000, "38.1 MiB"), (5 * 1024**5, "5120.0 TiB")],
)
def test_sizes_are_told_in_the_largest_unit_that_they_fill(cli, front_door, size, reported):
    _answer_with(front_door, {**_DIGITS, "size": size})
    assert f"   {reported}   " in cli("datasets").out
