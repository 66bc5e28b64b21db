"""What a person gives the Python API to submit: a program, and a manifest as a file or a dictionary."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainyard.client.errors import WrongUsageError

Program = str | os.PathLike[str]
Manifest = str | os.PathLike[str] | Mapping[str, Any]


def manifest_text(manifest: Manifest) -> tuple[str, bytes]:
    """Return a manifest's name and content; raise WrongUsageError for a file that cannot be read."""
    if isinstance(manifest, Mapping):
        return "manifest.json", json.dumps(manifest).encode()
    path = Path(manifest)
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise WrongUsageError(f"the manifest {path} cannot be read: {error.strerror}", "Check the path.") from None


def manifest_paths(manifest: Manifest) -> list[str | os.PathLike[str]]:
    """Return the file that a manifest is in, which is no part of the program; none for a dictionary."""
    return [] if isinstance(manifest, Mapping) else [manifest]


def with_search(manifest: bytes, search: Mapping[str, Any]) -> bytes:
    """Return a manifest with a search; in YAML it stands at the end, where a second one is refused by its line."""
    try:
        data = json.loads(manifest)
    except ValueError:
        return manifest.rstrip() + b"\nsearch: " + json.dumps(dict(search)).encode() + b"\n"
    return json.dumps({**data, "search": dict(search)}).encode() if isinstance(data, dict) else manifest
