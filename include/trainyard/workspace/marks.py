"""The marks that a training pod leaves in the workspace for the service to see."""

from __future__ import annotations

from trainyard.workspace.layout import RunFolder


def started_at(run: RunFolder) -> float | None:
    """Return when the program started, in seconds since the epoch; None while it has not.

    The time is the file's own: what a program writes into it is not trusted, and a link is not followed.
    """
    try:
        return run.started.lstat().st_mtime
    except OSError:
        return None
