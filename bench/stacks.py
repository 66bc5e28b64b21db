"""A stack of the measurement's own, in a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard.client.access import find_access
from trainyard.client.rest import RestClient
from trainyard.local.parts import GPUS, OBJECT_STORE
from trainyard.local.secrets import Secrets
from trainyard.local.stack import Stack


@contextmanager
def fresh_stack(say: Callable[[str], None], gpus: int | None = None) -> Iterator[Stack]:
    """Start a stack; `gpus` is how many its cluster has."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        stack = Stack(Path(folder) / ".trainyard")
        before = os.environ.get(GPUS)
        try:
            if gpus is not None:
                os.environ[GPUS] = str(gpus)
            stack.up(say)
            yield stack
        finally:
            stack.down(say)
            if before is not None:
                os.environ[GPUS] = before
            else:
                os.environ.pop(GPUS, None)


def front_door(stack: Stack) -> RestClient:
    return RestClient(find_access(None, {}, stack.folder.parent))


def object_store(stack: Stack) -> tuple[str, Secrets]:
    """Return the address of a stack's object store and the keys to it."""
    address: str = stack.status()[OBJECT_STORE]["address"]
    return address, Secrets.of(stack.folder / "secrets.json")
