"""S3 as Airflow's connections of the type aws open it: keys, roles, endpoint and region come from the provider's hook.

Imported only where a store is opened. What is sent to the store goes through the project's own client and its address
policy all the same; what a role is asked for (STS, the machine's metadata) is between the provider and AWS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.ownstores import is_own_store
from trainyard.domain.training import StoreRef
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.base import SigningKeys, Store, StoreError, Why
from trainyard.stores.opening import open_store

TYPE = "aws"
# A role is asked for while somebody waits for the store.
_ASKING = {"connect_timeout": 4, "read_timeout": 10, "retries": {"total_max_attempts": 2, "mode": "standard"}}


@dataclass(frozen=True)
class _Opened:
    """What a connection says of S3; empty where it says nothing. `addressing` is `path`, `virtual` or empty."""

    keys: SigningKeys
    endpoint: str
    region: str
    addressing: str
    ca_bundle: str


class _Hook(S3Hook):
    """The hook of a connection that was read already: one that is missing would get the rights of the machine."""

    def __init__(self, connection: Any, config: dict[str, Any]) -> None:
        super().__init__(aws_conn_id=connection.conn_id, config=config)
        self._connection = connection

    def get_connection(self, conn_id: str) -> Any:  # type: ignore[override]
        return self._connection


def open_connected(ref: StoreRef, connection: Any, settings: Settings) -> Store:
    """Open a bucket with a connection of the type aws.

    One that whoever runs the service has made may lead anywhere, and use whatever rights it names. A training's own has
    the keys of its manifest, and keeps to the address policy.

    Raise StoreError BROKEN where the rights cannot be had, TrainyardError S500 for a connection that is none of S3.
    """
    _check(ref, connection)
    opened = _open(connection)
    place = replace(ref, endpoint=opened.endpoint or ref.endpoint, region=ref.region or opened.region or None)
    settings = replace(
        settings,
        s3_addressing=opened.addressing or settings.s3_addressing,
        ca_bundle=opened.ca_bundle or settings.ca_bundle,
    )
    return open_store(place, opened.keys, settings, ANYWHERE if _is_operators(ref) else None)


def _check(ref: StoreRef, connection: Any) -> None:
    if connection.conn_type != TYPE:
        message = f"the connection {connection.conn_id} is of the type {connection.conn_type}, and S3 needs {TYPE}"
        raise TrainyardError("S500", message, "Change it in Airflow, or take its name out of quotas.yaml.")
    extra = connection.extra_dejson
    keys = (connection.login and connection.password) or (
        extra.get("aws_access_key_id") and extra.get("aws_secret_access_key")
    )
    if not _is_operators(ref) and not keys:
        # Without keys the provider uses the rights of the machine, which are no training's.
        message = f"the connection {connection.conn_id} has no keys any more"
        raise TrainyardError("S500", message, "Submit the training again.")


def _is_operators(ref: StoreRef) -> bool:
    """Say whether a store is one of the connections that whoever runs the service has made."""
    return bool(ref.connection) and not is_own_store(ref.connection)


def _open(connection: Any) -> _Opened:
    named = dict(connection.extra_dejson.get("config_kwargs") or {})
    named.pop("signature_version", None)
    hook = _Hook(connection, {**_ASKING, **named})
    try:
        session = hook.get_session()
        keys = session.get_credentials()
        endpoint = hook.conn_config.get_service_endpoint_url("s3") or session.client("s3").meta.endpoint_url
    except Exception as error:  # noqa: BLE001 - of botocore, of the provider, of a session factory of the installation's own
        raise _not_opened(connection, _reason(error)) from None
    if keys is None:
        raise _not_opened(connection, "it has no keys, and the machine has no role")
    style = (named.get("s3") or {}).get("addressing_style", "")
    verify = hook.verify if isinstance(hook.verify, str) else ""
    return _Opened(keys, endpoint.rstrip("/"), hook.region_name or session.region_name or "", _known(style), verify)


def _known(style: str) -> str:
    return style if style in ("path", "virtual") else ""


def _reason(error: Exception) -> str:
    """Name an error without its text, which may hold what was sent."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code", "") if isinstance(answer, dict) else ""
    return f"{type(error).__name__} {code}".strip()


def _not_opened(connection: Any, reason: str) -> StoreError:
    message = f"the connection {connection.conn_id} gives no rights to S3: {reason}"
    hint = "Ask whoever runs the service: look at the connection in Airflow, and at the role that it names."
    return StoreError(Why.BROKEN, message, hint)
