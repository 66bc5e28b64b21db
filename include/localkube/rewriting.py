"""Mount paths in texts turned into the folders behind them, where the machine allows no mount namespace."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from localkube.mounts import Mount

# A path ends where a path in a shell command, a list of paths or a quoted text ends, and never starts within another.
_BEFORE = r"(?<![\w/.-])"
_AFTER = r"(?=[/\s\"':;,)}\]&|<>=]|$)"


def rewriter(mounts: Sequence[Mount]) -> Callable[[str], str]:
    """Return a function that puts the host's path wherever a text names a mount path."""
    folders = {mount["target"]: mount["source"] for mount in mounts}
    if not folders:
        return lambda text: text
    longest_first = sorted(folders, key=len, reverse=True)
    pattern = re.compile(f"{_BEFORE}({'|'.join(map(re.escape, longest_first))}){_AFTER}")
    return lambda text: pattern.sub(lambda match: folders[match[1]], text)
