"""Datasets that runs hold, without a bucket to download them from."""

from __future__ import annotations

from pathlib import Path

from samples import RUN, SPEC

from trainyard.domain.names import RunKey
from trainyard.domain.training import StoreRef
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace


def hold_data(workspace: Workspace, run: RunKey = RUN, ref: StoreRef = SPEC.data, version: str = "1") -> Path:
    """Let a run hold a version of a bucket's data, as its staging does; return the version's folder."""
    folder = workspace.dataset(ref) / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / ".cache").mkdir(exist_ok=True)
    DatasetCache(workspace).hold(folder, str(run))
    return folder
