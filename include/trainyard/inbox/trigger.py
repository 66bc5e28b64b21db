"""Watches the inbox in the triggerer: no worker is held while nothing is dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import TriggerEvent

from trainyard.airflow.watching import WatchTrigger
from trainyard.inbox.drops import Drop
from trainyard.inbox.passing import look
from trainyard.inbox.watching import Watch

_MAX_SHOWN = 200


class InboxTrigger(WatchTrigger):
    """Fire whenever there are drops to submit, with their places and fingerprints.

    It says only that there is work; the task looks for itself. So neither a restart nor a second watcher can lose a
    drop or have it trained twice: a new watcher knows nothing and fires for everything that is still there.
    """

    failing = "The inbox cannot be looked at"

    def __init__(self, url: str, conn_id: str, poll_seconds: float, wait_seconds: float) -> None:
        super().__init__()
        self.url = url
        self.conn_id = conn_id
        self.poll_seconds = poll_seconds
        self.wait_seconds = wait_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "url": self.url,
                "conn_id": self.conn_id,
                "poll_seconds": self.poll_seconds,
                "wait_seconds": self.wait_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. A trigger that ended would be one that nobody starts again, so no failure ends it."""
        watch, store = Watch(self.wait_seconds), None
        while True:
            try:
                store = store or await self._open()
                seen = await asyncio.to_thread(look, store)
            except Exception as error:  # noqa: BLE001 - see above; the next look may find everything in order
                self.report(error)
                store = None
            else:
                self._trouble = ""
                if drops := watch.due(seen, time.time()):
                    yield TriggerEvent(payload(drops))
            await asyncio.sleep(self.poll_seconds)

    async def _open(self) -> Any:
        from airflow.sdk import BaseHook

        from trainyard.airflow.app import current_app
        from trainyard.domain.training import Credentials
        from trainyard.inbox.place import open_inbox

        connection = await BaseHook.aget_connection(self.conn_id)
        credentials = Credentials(connection.login or "", connection.password or "")
        return await asyncio.to_thread(open_inbox, self.url, credentials, current_app().settings)


def payload(drops: tuple[Drop, ...]) -> dict[str, Any]:
    """Return what the event says; it is kept in Airflow's database, so not without end."""
    shown = [{"place": drop.place, "fingerprint": drop.fingerprint} for drop in drops[:_MAX_SHOWN]]
    return {"drops": shown, "count": len(drops)}
