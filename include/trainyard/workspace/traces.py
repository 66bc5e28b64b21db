"""What a run has of the workspace only while it is going: its hold on a dataset, and its unpacked program."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trainyard.domain.names import is_run_id
from trainyard.workspace.holds import Holds
from trainyard.workspace.layout import Workspace

# Of the program, the second where the unpacking broke off.
_FOLDERS = ("model", "model.part")


def traces(workspace: Workspace) -> dict[str, float]:
    """Return model id -> when the newest of its traces was made, in seconds since the epoch."""
    found = Holds(workspace.root / "datasets").since()
    for model_id in filter(is_run_id, workspace.run_ids()):  # what else somebody put beside the runs is theirs
        for made_at in _made(workspace.root / "runs" / model_id):
            found[model_id] = max(made_at, found.get(model_id, 0.0))
    return found


def _made(run: Path) -> list[float]:
    times = []
    for name in _FOLDERS:
        with suppress(FileNotFoundError, NotADirectoryError):
            times.append(os.lstat(run / name).st_mtime)
    return times
