"""A dataset cache in an empty workspace, and a bucket to fill it from."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset_samples import Bucket

from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def cache(workspace: Workspace) -> DatasetCache:
    return DatasetCache(workspace)


@pytest.fixture
def store() -> Bucket:
    return Bucket(**{f"train/{number}": bytes([number]) * 3000 for number in range(10)}, labels=b"0123456789")
