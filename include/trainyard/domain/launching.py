"""How a command is started as several processes: by itself, or by the launcher of its framework."""

from __future__ import annotations

import re
from collections.abc import Mapping

MPIRUN, DDL = "mpirun", "ddl"
_STARTS_PROCESSES = re.compile(r"\b(mpirun|mpiexec|horovodrun|ddlrun)\b")


# FfDL's launcher for TensorFlow makes the first learners parameter servers: so many, one where nothing is said.
_SERVERS = "PS_HOSTS_COUNT"
_SERVERS_IN_COMMAND = re.compile(rf"\b{_SERVERS}=[\"']?(\d{{1,4}})\b")
_LAUNCHER = re.compile(r"(?:^|[\s/;&|(])launcher\.py\b")


def first_that_ends(command: str, environment: Mapping[str, str], learners: int) -> int:
    """Return the number of the first of several learners whose program ends: those before it serve parameters.

    Such a server waits for ever, and whoever started it is to end it when the others have ended.
    """
    if not _LAUNCHER.search(command):
        return 1
    found = _SERVERS_IN_COMMAND.search(command)
    servers = found[1] if found else environment.get(_SERVERS, "1")
    return int(servers) + 1 if servers.isascii() and servers.isdecimal() and int(servers) < learners else 1


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
