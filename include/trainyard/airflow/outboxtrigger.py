"""Delivers notifications from the outbox, in the triggerer: no worker is held, and none is started for one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

from airflow.triggers.base import TriggerEvent

from trainyard.airflow.app import App, current_app
from trainyard.airflow.watching import WatchTrigger
from trainyard.core.notifier import OWN
from trainyard.domain.addresses import ANYWHERE, AddressPolicy
from trainyard.domain.names import notify_connection
from trainyard.domain.notification import Address, read_address
from trainyard.notify.courier import Courier
from trainyard.notify.failing import SendError
from trainyard.notify.outbox import Delivery

# Another triggerer delivers, until it dies.
_HELD_SECONDS = 15.0
# After a look it rests for so many times as long as that took, however much lies there.
_REST = 4
_MAIL_PORT, _TLS_PORT = 587, 465


class OutboxTrigger(WatchTrigger):
    """Deliver what lies in the outbox for ever, and never fire: nothing is left for a worker to do.

    What a death breaks off lies there still, and is sent by the trigger's next life. Two of them, while Airflow moves
    it, do not deliver at the same time.
    """

    failing = "The outbox cannot be looked at"

    def __init__(self, poll_seconds: float) -> None:
        super().__init__()
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Deliver for ever. A trigger that ended would be one that nobody starts again, so no failure ends it."""
        app = current_app()
        courier = Courier(app.outbox, Sender(app).send, self.log.info)
        while True:
            try:
                with app.outbox.delivering() as held:
                    await (self._deliver(courier) if held else asyncio.sleep(_HELD_SECONDS))
            except Exception as error:  # noqa: BLE001 - see above; the next look may find everything in order
                self.report(error)
                await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent({})  # never reached: it makes this a generator, as Airflow wants it

    async def _deliver(self, courier: Courier) -> None:
        try:
            while True:
                began = time.monotonic()
                await courier.look()
                await asyncio.sleep(max(self.poll_seconds, _REST * (time.monotonic() - began)))
        finally:
            courier.stop()


class Sender:
    """Sends one delivery to its address, which is one of Airflow's connections: as a webhook, or through Apprise."""

    def __init__(self, app: App) -> None:
        self._app, self._policy = app, AddressPolicy.of(app.settings)

    async def send(self, delivery: Delivery) -> None:
        """Raise SendError for what did not arrive."""
        from trainyard.notify.relay import relay
        from trainyard.notify.webhook import post

        address, bundle = await _kept(delivery.to), self._app.settings.ca_bundle
        # What was allowed when it was kept may not be any more.
        checked = read_address(address.url, self._policy)
        if isinstance(checked, tuple):
            raise SendError(checked[0].rstrip("."), for_good=True)
        if address.is_webhook:
            await post(address, delivery.message, delivery.id, self._policy, bundle)
        elif address.is_plain_mail:
            await relay(await self._mail(address), delivery.message, ANYWHERE, bundle)
        else:
            await relay(address.url, delivery.message, self._policy, bundle)

    async def _mail(self, address: Address) -> str:
        """Return what Apprise sends mail with through the service's own server, which may be anywhere."""
        name = self._app.settings.mail_connection
        if not name:
            raise SendError("the service has no mail server of its own", for_good=True)
        connection = await _connection(name)
        extra = connection.extra_dejson
        sender = extra.get("from_email") or connection.login or f"trainyard@{connection.host}"
        port = connection.port or _MAIL_PORT
        mode = "insecure" if extra.get("disable_tls") else "ssl" if port == _TLS_PORT else "starttls"
        login = f"{quote(connection.login, '')}:{quote(connection.password or '', '')}@" if connection.login else ""
        options = {"to": address.url.partition(":")[2], "from": sender, "name": "Trainyard", "mode": mode}
        return f"mailto{'' if mode == 'insecure' else 's'}://{login}{connection.host}:{port}?{urlencode(options)}"


async def _kept(to: str) -> Address:
    """Return the address that a delivery names; raise SendError for one that is not kept any more."""
    kind, _, place = to.partition(":")
    name, number = place, 0
    if kind == OWN:
        training_id, _, index = place.partition(":")
        name, number = notify_connection(training_id), int(index)
    connection = await _connection(name)
    rows = json.loads(connection.password or "[]")
    if number >= len(rows) or not rows[number]:
        raise SendError("its address is not kept any more", for_good=True)
    return Address(rows[number]["url"], rows[number]["secret"])


async def _connection(name: str) -> Any:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException
    from airflow.sdk.log import mask_secret

    try:
        connection = await BaseHook.aget_connection(name)
    except AirflowNotFoundException:
        raise SendError("its address is not kept any more", for_good=True) from None
    mask_secret(connection.password)
    return connection
