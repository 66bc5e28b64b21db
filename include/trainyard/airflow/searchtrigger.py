"""Watches the searches, and the runs of grids, in the triggerer: no worker is held while trials go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from airflow.triggers.base import TriggerEvent

from trainyard.airflow.watching import WatchTrigger
from trainyard.client.rest import RestClient
from trainyard.core.catalogue import Catalogue
from trainyard.core.search.ledgers import SEARCHES, Ledgers

# An idle service lists two folders so often; what has just been submitted waits no longer.
_POLL_SECONDS = 1.0
_TROUBLE_SECONDS = 5.0
# What cannot be made for long, as of a training that Airflow does not come to know, is asked for less often.
_MAX_PAUSE_SECONDS = 30.0


class SearchTrigger(WatchTrigger):
    """Have the front door drive the searches, and make the runs that were asked for, while there are any.

    It says only that there is work, and fires no events: a run of a DAG for each look would take seconds, and trials
    may be as short. The front door finds everything again from the runs and holds each search meanwhile, so a restart
    or a second watcher starts no trial twice.
    """

    failing = "The searches cannot be driven"

    def __init__(self, catalogue: str, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        super().__init__()
        self.catalogue = catalogue
        self._sleep = sleep
        self._service: RestClient | None = None
        self._pause = _POLL_SECONDS

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"catalogue": self.catalogue}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. A trigger that ended would be one that nobody starts again, so no failure ends it."""
        seen, later = frozenset[str](), 0.0
        while True:
            try:
                work = frozenset(await asyncio.to_thread(self._work))
                # What is new is looked at whatever the rest has time for.
                if work and (later <= 0 or work - seen):
                    new, seen = bool(work - seen), work
                    later = await self._settle(new=new)
                    self._trouble = ""
            except Exception as error:  # noqa: BLE001 - see above; the next look may find everything in order
                self.report(error)
                self._service, later = None, _TROUBLE_SECONDS
            await self._sleep(_POLL_SECONDS)
            later -= _POLL_SECONDS
        # A generator, as Airflow wants it, that never yields.
        yield TriggerEvent({})

    def _work(self) -> set[str]:
        catalogue = Catalogue(Path(self.catalogue))
        return Ledgers(catalogue.folder / SEARCHES).active() | catalogue.starts.pending().keys()

    async def _settle(self, *, new: bool) -> float:
        """Have everything looked at; return after how many seconds to do so again."""
        from airflow.sdk import BaseHook

        from trainyard.airflow.frontdoor import CONNECTION, client_of

        # Kept, with its sign-in, until something goes wrong.
        self._service = self._service or client_of(await BaseHook.aget_connection(CONNECTION))
        again = await asyncio.to_thread(self._service.settle_searches)
        self._pause = _POLL_SECONDS if new or again is not None else min(2 * self._pause, _MAX_PAUSE_SECONDS)
        return self._pause if again is None else again
