"""Hyperparameters: typed values by name, which a program also finds as environment variables."""

from __future__ import annotations

import re
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str"

MAX = 100
MAX_TEXT_LENGTH = 1000
SIZE, COMMAND = "size", "command"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
# These have their own fields in the form that triggers a run.
_FIELDS = {SIZE, COMMAND}
# What the pod sets, what a shell, Python, the linker or a GPU driver obeys, and what the shell changes by itself.
_OURS = re.compile(
    r"""
    (DATA|MODEL|RESULT|LOG|JOB_STATE|CHECKPOINT)_DIR | RESUME_FROM | TRAINING_(ID|COMMAND) | GPU_COUNT | NUM_LEARNERS
    | LEARNER_\w+ | SUBID | TERMINATION_LOG | TRAINYARD_\w+
    | PATH | HOME | USER | LOGNAME | HOSTNAME | SHELL | SHELLOPTS | TERM | TMPDIR | TZ | LANG | LC_\w+ | IFS | ENV
    | CDPATH | PWD | OLDPWD | PS\d | PROMPT_\w+ | OPT(ARG|IND|ERR) | _ | E?UID | PPID | GROUPS | RANDOM | SRANDOM
    | SECONDS | LINENO | SHLVL | REPLY | DIRSTACK | FUNCNAME | FUNCNEST | GLOBIGNORE | EPOCH\w+ | HIST\w+
    | POSIXLY_CORRECT
    | VIRTUAL_ENV | (BASH|LD|DYLD|PYTHON|PIP|KUBERNETES|NVIDIA|CUDA)\w*
    """,
    re.VERBOSE,
)


def fault_of_name(name: str) -> tuple[str, str] | None:
    """Return what hinders a name from being a hyperparameter's, and the hint; None if nothing does."""
    if not _NAME.fullmatch(name):
        hint = "Use letters, digits and underscores, at most 100, and no digit in front."
        return f"{name[:60]} cannot be the name of an environment variable.", hint
    if name in _FIELDS:
        return f"{name} is a field of every training.", "Use another name."
    if _OURS.fullmatch(name):
        return f"{name} is set for every program already.", "Use another name."
    return None


def as_text(value: Value) -> str:
    """Write a value as an environment variable has it: `true`, `3`, `0.001`, a text as it is."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_text(text: str, kind: type) -> Value:
    """Read a text as a value of a kind; raise ValueError for one that cannot be."""
    if kind is bool and text not in ("true", "false"):
        raise ValueError(text)
    if kind is bool:
        return text == "true"
    if kind is int:
        return int(text)
    if kind is float:
        return _finite(text)
    if not is_text(text) or len(text) > MAX_TEXT_LENGTH:
        raise ValueError(text)
    return text


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:  # not for inf and nan, which JSON does not have
        raise ValueError(text)
    return number


def is_text(value: object) -> bool:
    """Say whether a value is a text that an environment and a file in UTF-8 can hold."""
    return isinstance(value, str) and "\0" not in value and not re.search("[\ud800-\udfff]", value)
