"""The task of the intake DAG: one pass over the inbox."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from functools import partial
from typing import Any

from trainyard.settings import read_settings

log = logging.getLogger(__name__)

FRONT_DOOR = "trainyard_front_door"


def hand_over() -> dict[str, int]:
    """Hand over everything that is complete in the inbox now; return how many drops were accepted, refused, and so on.

    Raise TrainyardError S500 if any could not be handed over by no fault of its own: it stays, and is tried again.
    """
    from trainyard.airflow.connections import read_credentials
    from trainyard.errors import TrainyardError
    from trainyard.inbox.handing import Hands
    from trainyard.inbox.passing import hand_all
    from trainyard.inbox.place import open_inbox

    settings = read_settings(os.environ)
    store = open_inbox(settings.inbox, read_credentials(settings.inbox_connection), settings)
    door = _front_door()
    try:
        hands = Hands(store, door, settings.inbox_wait_seconds)
        settle = partial(time.sleep, settings.inbox_settle_seconds)
        handed, failed = hand_all(hands, settle, settings.inbox_threads)
    finally:
        door.close()
    if failed:
        raise TrainyardError("S500", f"{failed} drops could not be handed over; they stay", "Look at the log above.")
    return dict(Counter(each.what for each in handed))


def _front_door() -> Any:
    from airflow.sdk import BaseHook

    from trainyard.airflow.doorclient import HttpDoor
    from trainyard.domain.training import Credentials

    connection = BaseHook.get_connection(FRONT_DOOR)
    user = Credentials(connection.login or "", connection.password or "")
    return HttpDoor(address_of(connection), user)


def address_of(connection: Any) -> str:
    """Return the URL of an Airflow connection of type http, whose host may be a whole URL."""
    host = str(connection.host or "")
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{address}:{connection.port}" if connection.port else address
