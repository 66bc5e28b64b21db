"""How a command is started as several processes: by itself, or by the launcher of its framework."""

from __future__ import annotations

import re

MPIRUN, DDL = "mpirun", "ddl"
_STARTS_PROCESSES = re.compile(r"\b(mpirun|mpiexec|horovodrun|ddlrun)\b")


def starts_processes(command: str) -> bool:
    """Say whether a command starts its MPI processes by itself."""
    return bool(_STARTS_PROCESSES.search(command))
