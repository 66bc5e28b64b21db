"""A stack of the measurement's own, in a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from trainyard.client.access import find_access
from trainyard.client.rest import RestClient
from trainyard.local.parts import GPUS, OBJECT_STORE
from trainyard.local.secrets import Secrets
from trainyard.local.stack import Stack

_AS_SHIPPED: Mapping[str, str] = MappingProxyType({})


@contextmanager
def fresh_stack(
    say: Callable[[str], None], gpus: int | None = None, quotas: str = "", settings: Mapping[str, str] = _AS_SHIPPED
) -> Iterator[Stack]:
    """Start a stack; `gpus` is how many its cluster has, `quotas` the text of another quotas.yaml than the shipped."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        stack = Stack(Path(folder) / ".trainyard")
        changed = {**settings, **({GPUS: str(gpus)} if gpus is not None else {})}
        if quotas:
            changed["TRAINYARD_QUOTAS_FILE"] = str(Path(folder) / "quotas.yaml")
            Path(folder, "quotas.yaml").write_text(quotas)
        with _environment(changed):
            try:
                stack.up(say)
                yield stack
            finally:
                stack.down(say)


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    """Let this process, and what it starts, have these variables for a while."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})


def front_door(stack: Stack) -> RestClient:
    return RestClient(find_access(None, {}, stack.folder.parent))


def object_store(stack: Stack) -> tuple[str, Secrets]:
    """Return the address of a stack's object store and the keys to it."""
    address: str = stack.status()[OBJECT_STORE]["address"]
    return address, Secrets.of(stack.folder / "secrets.json")
