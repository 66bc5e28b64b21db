"""The front door as the service's own tasks open it: they are its clients as everybody else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainyard.client.access import Access
from trainyard.client.rest import RestClient

CONNECTION = "trainyard_front_door"
# The first sweep of a service that never kept house may take a minute for each of its batches.
_ANSWER_SECONDS = 600.0


@contextmanager
def front_door() -> Iterator[RestClient]:
    """Open the front door inside a task, as the user of the connection `trainyard_front_door`."""
    from airflow.sdk import BaseHook

    with client_of(BaseHook.get_connection(CONNECTION)) as service:
        yield service


def client_of(connection: Any) -> RestClient:
    """Return a client of the front door as the user of a connection; whoever has it closes it."""
    access = Access(address_of(connection), username=connection.login or "", password=connection.password or "")
    return RestClient(access, _ANSWER_SECONDS)


def address_of(connection: Any) -> str:
    """Return the URL of an Airflow connection of type http, whose host may be a whole URL."""
    host = str(connection.host or "")
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{address}:{connection.port}" if connection.port else address.rstrip("/")
