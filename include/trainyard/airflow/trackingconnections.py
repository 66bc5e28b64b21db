"""MLflow servers as Airflow's connections of the types http and generic name them."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from trainyard.tracking.server import Server, TrackingError

TYPES = ("http", "generic")


def open_tracking(name: str, ca_bundle: str) -> Server:
    """Read a connection that whoever runs the service has made, inside a task: address, and login or token.

    Raise TrackingError where there is none, or it names no server.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException
    from airflow.sdk.log import mask_secret

    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise TrackingError("Airflow has no such connection") from None
    if connection.conn_type not in TYPES:
        # Keys of a store would be sent to its address as a password.
        raise TrackingError(f"the connection is of the type {connection.conn_type}, and has to be http or generic")
    if connection.password:
        mask_secret(connection.password)
    return Server(_url(connection), connection.login or "", connection.password or "", ca_bundle)


def _url(connection: Any) -> str:
    """Return where the server is; a host may have scheme and path, as Airflow's own hooks allow it."""
    host = connection.host or ""
    parts = _split(host if "://" in host else f"{connection.schema or 'http'}://{host}")
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise TrackingError("the connection's host and schema are not the address of a server")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = connection.port or parts.port
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for what is no port
    except ValueError:
        return None
    return parts
