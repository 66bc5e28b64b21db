"""Which kind of mount namespace this machine allows, found out by making one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from localkube import mounts
from trainyard.errors import TrainyardError

AUTO = "auto"
CHOICES = (AUTO, mounts.MOUNTS, mounts.USER_MOUNTS, mounts.PATHS)
_SECONDS = 30


def choose_isolation(wanted: str, root: Path) -> str:
    """Return how containers see their volumes: as wanted, or the best that works here.

    Raise TrainyardError S101 when this machine does not allow what was asked for.
    """
    if wanted == mounts.PATHS:
        return wanted
    candidates = _candidates() if wanted == AUTO else [wanted]
    refusals = []
    for candidate in candidates:
        refusal = _refusal(candidate, root)
        if not refusal:
            return candidate
        refusals.append(f"{candidate}: {refusal}")
    if wanted != AUTO:
        hint = f"Leave the choice to the cluster with {AUTO}, or take {mounts.PATHS}."
        raise TrainyardError("S101", f"this machine does not allow the isolation {'; '.join(refusals)}.", hint)
    return mounts.PATHS


def _candidates() -> list[str]:
    return [mounts.MOUNTS, mounts.USER_MOUNTS] if os.geteuid() == 0 else [mounts.USER_MOUNTS]


def _refusal(candidate: str, root: Path) -> str:
    """Return why a namespace of this kind cannot be made, nothing if it can."""
    who = "user" if candidate == mounts.USER_MOUNTS else "root"
    command = [sys.executable, "-S", "-P", mounts.__file__, str(root), who]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, env={})
    return (tried.stderr.strip().splitlines() or ["it failed"])[-1] if tried.returncode else ""
