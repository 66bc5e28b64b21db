"""Which git commit a folder is at, and what its packed files have beyond that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

from trainyard.domain.codeversion import CodeVersion

_SECONDS = 20
# A look starts no daemon, and gives names as they are.
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_MAX_FILES_OF_DIFF = 500


def code_version(folder: Path, names: Collection[str], is_left_out: Callable[[str], bool]) -> CodeVersion | None:
    """Return commit and changes of the packed files; None without git, a repository or a commit.

    `names` are those of the packed files, relative to the folder: what is not packed does not count, and neither do
    the files that are gone and would be left out.
    """
    try:
        commit = _git(folder, "rev-parse", "--verify", "HEAD").strip()
        branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD").strip()
        changed = _changed(folder, set(names), is_left_out)
        known = sorted(changed)[:_MAX_FILES_OF_DIFF]
        diff = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--", *known)
    except (OSError, subprocess.SubprocessError):
        return None
    found = CodeVersion(commit, "" if branch == "HEAD" else branch, len(changed))
    return found.with_diff(diff if known else "")


def _changed(folder: Path, packed: set[str], is_left_out: Callable[[str], bool]) -> set[str]:
    """Return the packed files that differ from the commit or are new to it, and what is gone since."""
    differing = _names(folder, "diff", "HEAD", "--name-only", "--relative", "--no-ext-diff")
    gone = _names(folder, "diff", "HEAD", "--name-only", "--relative", "--no-ext-diff", "--diff-filter=D")
    new = _names(folder, "ls-files", "--others")
    return packed & (differing | new) | {name for name in gone - packed if not is_left_out(name)}


def _names(folder: Path, *words: str) -> set[str]:
    return set(filter(None, _git(folder, *words, "-z", "--", ".").split("\0")))


def _git(folder: Path, *words: str) -> str:
    """Run git; raise CalledProcessError where it refuses, TimeoutExpired where it takes too long."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", *_QUIET, "--literal-pathspecs", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS, env=environment)
    return done.stdout.decode(errors="replace")
