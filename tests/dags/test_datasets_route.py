"""`GET /datasets` over HTTP, from a cache that was really filled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from appasking import asked, created_app
from memorystore import MemoryStore
from samples import LIMITS, training

from trainyard.core.accounts import Caller
from trainyard.core.datasets import Datasets
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")


class _Catalogue:
    def trainings(self):
        return [training()]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Ask for the datasets as somebody."""
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path))
    app = created_app()
    app.state.datasets = Datasets(_Catalogue(), lambda: LIMITS, DatasetCache(Workspace(tmp_path)).cached)

    return lambda caller: asked(app, caller, "GET", "/datasets")


def test_the_versions_are_told_with_size_users_and_hits(ask, tmp_path):
    cache, store = DatasetCache(Workspace(tmp_path)), MemoryStore(labels=b"0123456789", images=b"x" * 90)
    for run in ("training-a", "training-b"):
        dataset = cache.obtain(training().spec.data, store, run, 1, print)
    os.utime(Path(dataset.path.parent, ".cache", f"{dataset.version}.used"), (1.7e9, 1.7e9))
    answer = ask(Caller("ada"))
    assert answer.status_code == 200
    assert answer.json() == {
        "resources": [
            {
                "name": "bucket memory at http://nowhere",
                "version": dataset.version,
                "size": 100,
                "files": 2,
                "users": 2,
                "hits": 1,
                "last_used": "2023-11-14T22:13:20Z",
            }
        ],
        "total": 1,
    }
    assert ask(Caller("mallory")).json() == {"resources": [], "total": 0}


def test_a_cache_that_was_never_filled_is_empty(ask):
    assert ask(Caller("root", admin=True)).json() == {"resources": [], "total": 0}
