"""Scripts of a zip that were written on Windows: a carriage return behind `#!/bin/bash` names no interpreter."""

from __future__ import annotations

from collections.abc import Iterable

from trainyard.errors import Problem
from trainyard.manifest.archive import ArchiveEntry
from trainyard.manifest.program import shell_scripts, started_files

_HINT = "Save it with Unix line ends (LF), as with `sed -i 's/\\r$//' {}` or dos2unix, and pack it again."


def script_problems(command: str, entries: Iterable[ArchiveEntry]) -> list[Problem]:
    """Return the problems of scripts that the command starts and the system cannot start."""
    windows = _windows_scripts(entries)
    return [
        Problem(
            f"{name} has Windows line ends (CRLF), so that the interpreter in its first line is not found.",
            _HINT.format(name),
            path=name,
            code="C102",
        )
        for name in dict.fromkeys(started_files(command))
        if name in windows
    ]


def script_warnings(command: str, entries: Iterable[ArchiveEntry]) -> list[str]:
    """Warn of scripts that the command gives to a shell, which takes the carriage returns for parts of words."""
    windows = _windows_scripts(entries)
    return [
        f"{name} has Windows line ends (CRLF), which the shell takes for parts of its words; save it with LF"
        for name in dict.fromkeys(shell_scripts(command))
        if name in windows
    ]


def _windows_scripts(entries: Iterable[ArchiveEntry]) -> set[str]:
    return {entry.name for entry in entries if entry.windows_script}
