"""Secrets of programs, kept as Airflow connections, whose `password` and `extra` are encrypted with the Fernet key.

Connections and not variables: Airflow's pages and its API show the value of a variable to whoever may read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airflow.models import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from trainyard.domain.variables import Holder, KeptSecret

_PREFIX = "trainyard-secret"
_TYPE = "generic"


class ConnectionSecrets:
    """Keeps, lists and forgets secrets in Airflow's own table; for the api-server."""

    def keep(self, secret: KeptSecret, value: str) -> None:
        """Keep a value in the place of whatever has its name."""
        conn_id = secret_connection(secret.holder, secret.name)
        about = {"name": secret.name, "changed_at": secret.changed_at, "changed_by": secret.changed_by}
        row = Connection(
            conn_id=conn_id,
            conn_type=_TYPE,
            description=f"secret {secret.name} of {secret.holder}",
            password=value,
            extra=json.dumps(about),
        )
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == conn_id))
            session.add(row)

    def kept(self, holders: Sequence[Holder]) -> list[KeptSecret]:
        """Return the secrets of all holders, without their values."""
        with create_session() as session:
            return [found for holder in holders for row in _rows(session, holder) if (found := _read(row, holder))]

    def is_kept(self, holder: Holder, name: str) -> bool:
        """Say whether there is a secret, in the table or in the secrets backend that the installation may have."""
        return bool(self.value(holder, name))

    def value(self, holder: Holder, name: str) -> str:
        """Return a value, to find it in a text that must not hold it; empty where there is no such secret."""
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            return Connection.get_connection_from_secrets(secret_connection(holder, name)).password or ""
        except AirflowNotFoundException:
            return ""

    def forget(self, holder: Holder, name: str) -> bool:
        """Remove a secret; return whether it was there."""
        with create_session() as session:
            row = session.scalar(select(Connection).where(Connection.conn_id == secret_connection(holder, name)))
            if row is None:
                return False
            session.delete(row)
            return True


def read_secret(holder: Holder, name: str) -> str | None:
    """Return a value inside a task, None where it is not kept; Airflow masks it in the task's log from here on."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException
    from airflow.sdk.log import mask_secret

    try:
        value: str | None = BaseHook.get_connection(secret_connection(holder, name)).password
    except AirflowNotFoundException:
        return None
    if value:
        mask_secret(value)
    return value or None


def secret_connection(holder: Holder, name: str) -> str:
    return f"{_place(holder)}{name}"


def _place(holder: Holder) -> str:
    return f"{_PREFIX}.{holder.key}."


def _rows(session: Any, holder: Holder) -> list[Any]:
    place = _place(holder)
    return list(session.scalars(select(Connection).where(Connection.conn_id.startswith(place, autoescape=True))))


def _read(row: Any, holder: Holder) -> KeptSecret | None:
    about = row.extra_dejson
    name = row.conn_id.removeprefix(_place(holder))
    return KeptSecret(name, holder, float(about.get("changed_at") or 0), str(about.get("changed_by") or ""))
