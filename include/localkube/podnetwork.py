"""The network of the pods that have names: there before the first of them starts, gone after the last of them."""

from __future__ import annotations

import asyncio

from localkube import network
from localkube.config import Config
from localkube.names import has_name
from localkube.store import Store


class PodNetwork:
    """One pod at a time makes it or looks for it: of many that start at once the others find it whole."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._wanted = config.network == network.NAMESPACES
        self._name = network.name_of(str(config.folder))
        self._lock = asyncio.Lock()

    async def provide(self) -> None:
        """Make the network unless it is there. Raise OSError with what the machine refused."""
        if self._wanted:
            async with self._lock:
                await asyncio.to_thread(network.make, self._name)

    async def drop_unused(self) -> None:
        """Remove the network unless there is a pod that has it, or is about to."""
        async with self._lock:
            if self._wanted and not any(map(has_name, self._store.all("pods"))):
                await asyncio.to_thread(network.remove, self._name)
