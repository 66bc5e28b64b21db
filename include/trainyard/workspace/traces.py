"""What a run has of the workspace only while it is going: its hold on a dataset, and its unpacked program."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trainyard.domain.names import RunKey
from trainyard.workspace.holds import Holds
from trainyard.workspace.layout import Workspace

# Of the program, the second where the unpacking broke off.
_FOLDERS = ("model", "model.part")


def traces(workspace: Workspace) -> dict[RunKey, float]:
    """Return run -> when the newest of its traces was made, in seconds since the epoch."""
    holds = Holds(workspace.root / "datasets").since().items()
    found = {run: since for user, since in holds if (run := RunKey.parse(user))}
    for run in workspace.runs():
        for made_at in _made(workspace.run(run).root):
            found[run] = max(made_at, found.get(run, 0.0))
    return found


def _made(run: Path) -> list[float]:
    times = []
    for name in _FOLDERS:
        with suppress(FileNotFoundError, NotADirectoryError):
            times.append(os.lstat(run / name).st_mtime)
    return times
