"""How a command is started as several processes: by itself, or by the launcher of its framework."""

from __future__ import annotations

import re

MPIRUN, DDL = "mpirun", "ddl"
_STARTS_PROCESSES = re.compile(r"\b(mpirun|mpiexec|horovodrun|ddlrun)\b")


# What each of several learners finds of the others: torchrun, TensorFlow and MPI's frameworks read it.
_SET_FOR_LEARNERS = re.compile(r"PET_\w+|MASTER_(ADDR|PORT)|(LOCAL_)?RANK|(LOCAL_)?WORLD_SIZE|TF_CONFIG")


def fault_of_name_among_learners(name: str) -> tuple[str, str] | None:
    """Return what hinders a name in a run of several learners, and the hint; None if nothing does."""
    if not _SET_FOR_LEARNERS.fullmatch(name):
        return None
    return f"{name} is set for each of several learners.", "Use another name."


def starts_processes(command: str) -> bool:
    """Say whether a command starts its MPI processes by itself."""
    return bool(_STARTS_PROCESSES.search(command))
