"""Asking before something that cannot be undone."""

from __future__ import annotations

import sys

from trainyard.client.errors import WrongUsageError
from trainyard.errors import TrainyardError


def ask(question: str, unasked: tuple[str, str], declined: str) -> None:
    """Return if the person says yes; raise TrainyardError C108 with `declined` if not.

    Raise WrongUsageError with `unasked`, a message and its hint, where nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise WrongUsageError(*unasked)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise TrainyardError("C108", declined, "")
