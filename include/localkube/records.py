"""What lies on disk for a container, read and written by its shim, the server and `end_all_pods`.

A container's folder is `<cluster>/pods/<pod uid>/<container>`. Light, because every shim imports it.
"""

from __future__ import annotations

import json
import os
from typing import Any

SPEC = "spec.json"  # what to run; holds the environment, so only its owner may read it
SHIM = "shim.json"  # pid and identity of the shim, written before anything runs
STARTED = "started.json"
EXITED = "exited.json"
SHUTDOWN = "shutdown.json"  # the node was shut down while the container ran, which is why it ended
LOCK = "lock"
LOG = "log"
TERMINATION_LOG = "termination-log"
WORK = "work"
MARKER = "TRAINYARD_CONTAINER"  # environment variable that tells a container's processes from all others


def read(folder: str, name: str) -> dict[str, Any] | None:
    """Return a record, or None where there is none (yet)."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


def write(folder: str, name: str, record: dict[str, Any]) -> None:
    """Write a record so that no reader ever sees half of it."""
    path = f"{folder}/{name}"
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file)
    os.replace(path + ".new", path)


def marker(folder: str) -> str:
    """Return the marker's value for a container's folder: `<pod uid>/<container>`."""
    return "/".join(folder.rstrip("/").split("/")[-2:])
