"""Watches the searches in the triggerer: no worker is held while trials go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from trainyard.client.rest import RestClient
from trainyard.core.search.ledgers import Ledgers

# An idle service lists one folder so often; a search that has just been submitted waits no longer.
_POLL_SECONDS = 1.0
_TROUBLE_SECONDS = 5.0


class SearchTrigger(BaseEventTrigger):
    """Have the front door drive the searches while there are any.

    It says only that there is work, and fires no events: a run of a DAG for each look would take seconds, and trials
    may be as short. The front door finds everything again from the runs and holds each search meanwhile, so a restart
    or a second watcher starts no trial twice.
    """

    def __init__(self, searches: str) -> None:
        super().__init__()
        self.searches = searches
        self._trouble = ""
        self._service: RestClient | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"searches": self.searches}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. A trigger that ended would be one that nobody starts again, so no failure ends it."""
        ledgers, active, due, later = Ledgers(Path(self.searches)), frozenset[str](), frozenset[str](), 0.0
        while True:
            try:
                active = frozenset(await asyncio.to_thread(ledgers.active))
                # A new one is looked at whatever the others have time for.
                if active and (later <= 0 or active - due):
                    due, later = active, await self._settle()
                    self._trouble = ""
            except Exception as error:  # noqa: BLE001 - see above; the next look may find everything in order
                self._tell(error)
                self._service = None
                due, later = active, _TROUBLE_SECONDS
            await asyncio.sleep(_POLL_SECONDS)
            later -= _POLL_SECONDS
        # A generator, as Airflow wants it, that never yields.
        yield TriggerEvent({})

    async def _settle(self) -> float:
        from airflow.sdk import BaseHook

        from trainyard.airflow.frontdoor import CONNECTION, client_of

        # Kept, with its sign-in, until something goes wrong.
        self._service = self._service or client_of(await BaseHook.aget_connection(CONNECTION))
        again = await asyncio.to_thread(self._service.settle_searches)
        return _POLL_SECONDS if again is None else again

    def _tell(self, error: Exception) -> None:
        """Log a trouble once, not at every look."""
        if str(error) != self._trouble:
            self.log.warning("The searches cannot be driven: %s", error)
        self._trouble = str(error)
