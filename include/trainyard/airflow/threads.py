"""What triggers read from the workspace, in threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


def in_thread(read: Callable[..., T], *given: Any) -> Awaitable[T]:
    """Read a file without holding up the other triggers."""
    return asyncio.get_running_loop().run_in_executor(_readers(), read, *given)


@lru_cache(maxsize=1)
def _readers() -> ThreadPoolExecutor:
    """Return threads of our own: on a volume that hangs they wait for ever, and the triggerer needs its own."""
    return ThreadPoolExecutor(4, thread_name_prefix="program-log")
