"""The cache of Python environments: what the requirements.txt of a zip needs, installed once for each image.

An environment is an account's own, since the pod that installs it can write it. The pods of later runs only read it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainyard.stores.tree import open_inside, remove
from trainyard.workspace.layout import RunFolder, Workspace

REQUIREMENTS = "requirements.txt"
READY = "ready"
UNUSED_DAYS = 30
_MAX_BYTES = 1024 * 1024
# What a line of requirements names beside packages of an index: files that another zip may have otherwise.
_OF_THE_ZIP = re.compile(
    r"^\s*(-[rce]\b|--(requirement|constraint|editable)|\.|/)|file:|^[^#@:]*\.(whl|zip|gz)\s*$", re.M
)
# Another way to install makes other environments.
_FORMAT = "1"


@dataclass(frozen=True)
class Environment:
    """The folder of an environment; once it is `ready`, nobody writes it any more."""

    path: Path
    ready: bool


def environment_for(
    workspace: Workspace, account: str, run: RunFolder, image: str, zip_sha256: str
) -> Environment | None:
    """Return the environment that a run's requirements.txt asks for, None where it has none.

    Its folder is made if it is not there, and those that nobody has used for a month are removed.
    """
    text = _requirements(run)
    if text is None:
        return None
    own = zip_sha256 if _OF_THE_ZIP.search(text.decode(errors="replace")) else ""
    identity = b"\0".join([_FORMAT.encode(), image.encode(), own.encode(), text])
    place = workspace.environments(account)
    path = place / hashlib.sha256(identity).hexdigest()[:24]
    path.mkdir(parents=True, exist_ok=True)
    os.utime(path)
    for unused in _unused(place, time.time() - UNUSED_DAYS * 24 * 3600):
        remove(unused)
    ready = (path / READY).is_file()
    if not ready:
        with suppress(PermissionError):  # a pod runs as another user
            path.chmod(0o777)
    return Environment(path, ready)


def _requirements(run: RunFolder) -> bytes | None:
    """Return what stands in requirements.txt; None where there is nothing that could be installed."""
    with suppress(OSError), open_inside(run.model, REQUIREMENTS) as file:
        text = file.read(_MAX_BYTES + 1)
        lines = (line.split(b"#")[0].strip() for line in text.splitlines())
        return text if len(text) <= _MAX_BYTES and any(lines) else None
    return None


def _unused(place: Path, since: float) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(place) as entries:
        for entry in entries:
            if entry.stat(follow_symlinks=False).st_mtime < since:
                yield Path(entry.path)
