"""The GPUs of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

_SECONDS = 20


def gpus_of_machine(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return CUDA's names of the GPUs: those the environment leaves visible, else what nvidia-smi lists, else none."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.splitlines() if line.strip().isdigit())


def first_gpus(count: int) -> tuple[str, ...]:
    """Return the names of a set number of GPUs, whether the machine has them or not."""
    return tuple(str(index) for index in range(count))
