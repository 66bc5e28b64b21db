"""Stores that people keep, as Airflow connections of the type aws, whose `extra` is encrypted with the Fernet key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow.models import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from trainyard.domain.ownstores import OwnStore, store_connection
from trainyard.domain.training import Credentials
from trainyard.domain.variables import Holder

_ABOUT = "trainyard"


class ConnectionStores:
    """Keeps, lists and forgets stores in Airflow's own table; for the api-server."""

    def keep(self, store: OwnStore, keys: Credentials) -> None:
        """Keep a store in the place of whatever has its name."""
        conn_id = store_connection(store.holder, store.name)
        about = {"changed_at": store.changed_at, "changed_by": store.changed_by}
        extra = {
            "aws_access_key_id": keys.user,
            "aws_secret_access_key": keys.secret,
            "endpoint_url": store.endpoint,
            **({"region_name": store.region} if store.region else {}),
            _ABOUT: about,
        }
        description = f"store {store.name} of {store.holder}"
        row = Connection(conn_id=conn_id, conn_type="aws", description=description, extra=json.dumps(extra))
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == conn_id))
            session.add(row)

    def kept(self, holders: Sequence[Holder]) -> list[OwnStore]:
        """Return the stores of all holders, without their keys."""
        with create_session() as session:
            return [_read(row, holder) for holder in holders for row in session.scalars(_of(holder))]

    def is_kept(self, holder: Holder, name: str) -> bool:
        """Say whether there is a store, in the table or in the secrets backend that the installation may have."""
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            Connection.get_connection_from_secrets(store_connection(holder, name))
        except AirflowNotFoundException:
            return False
        return True

    def forget(self, holder: Holder, name: str) -> bool:
        """Remove a store; return whether it was there."""
        with create_session() as session:
            row = session.scalar(select(Connection).where(Connection.conn_id == store_connection(holder, name)))
            if row is None:
                return False
            session.delete(row)
            return True


def _of(holder: Holder) -> Any:
    return select(Connection).where(Connection.conn_id.startswith(store_connection(holder, ""), autoescape=True))


def _read(row: Any, holder: Holder) -> OwnStore:
    extra = row.extra_dejson
    about = extra.get(_ABOUT) or {}
    name = row.conn_id.removeprefix(store_connection(holder, ""))
    place = (str(extra.get("endpoint_url") or ""), str(extra.get("region_name") or ""))
    return OwnStore(name, holder, *place, float(about.get("changed_at") or 0), str(about.get("changed_by") or ""))
