"""Remove what a run has left in the workspace."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.stores import tree
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import RunFolder, Workspace


def cleanup(key: RunKey, workspace: Workspace, *, keep_metrics: bool = False) -> bool:
    """Release the dataset and remove model and results; logs and state stay for the history. It can be repeated.

    So do the metrics as they were stored if `keep_metrics` says that they are still to be sent somewhere.
    Results that are not in the bucket stay too, until the run is forgotten: return False then, also where a program ran
    and only its log is to be stored. Raise TrainyardError
    S500 for what cannot be removed.
    """
    run = workspace.run(key)
    DatasetCache(workspace).release(str(key))
    _remove(run.model)
    _remove(run.root / "model.part")
    run.transfer.unlink(missing_ok=True)  # of a step that was killed
    if not has_stored(run):
        return False
    _remove(run.result)
    _remove(run.checkpoints)
    _remove(run.root / "checkpoints.parts")
    run.attempts.unlink(missing_ok=True)
    run.stopped.unlink(missing_ok=True)  # whoever starts it again wants it to train
    if not keep_metrics:
        run.metrics_stored.unlink(missing_ok=True)
    return True


def forget(key: RunKey, workspace: Workspace) -> None:
    """Remove everything of the run, logs too; the bucket is not touched. It can be repeated."""
    DatasetCache(workspace).release(str(key))
    run = workspace.run(key).root
    _remove(run)
    with suppress(OSError):  # another run of the training has its folder there
        run.parent.rmdir()


def forget_training(training_id: str, workspace: Workspace) -> None:
    """Remove everything that runs of a training have left; the bucket is not touched. It can be repeated."""
    _remove(workspace.training(training_id))


def has_stored(run: RunFolder) -> bool:
    """Say whether all that a run has made is in the bucket; one that has made nothing has that there."""
    return run.stored.exists() or not has_made(run)


def has_made(run: RunFolder) -> bool:
    """Say whether a run has anything of its program's to store: one that never started has only its reason."""
    return run.has_started or _has_entries(run.result)


def _has_entries(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and bool(os.listdir(folder))


def _remove(folder: Path) -> None:
    try:
        tree.remove(folder)
    except OSError as error:
        hint = "Let workers and training pods run as the same user, or remove the folder by hand."
        raise TrainyardError("S500", f"{folder} cannot be removed: {error.strerror}", hint) from None
