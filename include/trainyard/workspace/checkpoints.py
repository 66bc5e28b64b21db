"""The checkpoints that a program has left in the workspace: what there is, and where another attempt goes on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from trainyard.domain.checkpointing import INSIDE, Candidate, complete
from trainyard.workspace.layout import RunFolder

# A folder with more is looked at no further: where it would be complete nobody can tell.
_MAX_FILES = 20_000


def newest_complete(folder: Path, run: RunFolder) -> str | None:
    """Return the name of the newest complete checkpoint of a program that has ended, None where there is none."""
    found = list(candidates(folder))
    good = complete(found, last_sign(found, run))
    return good[0].name if good else None


def last_sign(found: Iterable[Candidate], run: RunFolder) -> float:
    """Return when a program that has ended was seen alive last: by what it has written, its log or a checkpoint."""
    return max([each.changed for each in found] + [_changed(run.training_log)])


def candidates(folder: Path) -> Iterator[Candidate]:
    """Yield what may be a checkpoint: files and folders, no links, for a program may let these lead anywhere."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield Candidate(entry.name, found.st_mtime, _is_renamed(found))
                elif stat.S_ISDIR(found.st_mode) and (tree := _of_folder(entry.path, found)):
                    yield tree


def _of_folder(path: str, found: os.stat_result) -> Candidate | None:
    changed, count, marked = 0.0, 0, False
    for where, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                changed = max(changed, os.lstat(os.path.join(where, name)).st_mtime)
        count, marked = count + len(names), marked or (where == path and not INSIDE.isdisjoint(names))
        if count > _MAX_FILES:
            return None
    # A folder that was made under its name and filled later was not renamed to it since.
    renamed = _is_renamed(found) and found.st_ctime >= changed
    return Candidate(os.path.basename(path), changed, renamed, marked) if count else None


def _is_renamed(found: os.stat_result) -> bool:
    """Say whether a name is younger than what it names: to write changes both times, to rename the second alone."""
    return found.st_ctime_ns > found.st_mtime_ns


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
