"""Credentials of a training's two stores, kept as Airflow connections, encrypted with the Fernet key."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from airflow.models import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from trainyard.domain.names import data_connection, results_connection
from trainyard.domain.training import Credentials, StoreRef, Submission
from trainyard.errors import TrainyardError


class ConnectionVault:
    """Keep and forget the connections `<training id>.data` and `<training id>.results`."""

    def keep(self, training_id: str, submission: Submission) -> None:
        spec = submission.spec
        with create_session() as session:
            session.add(_connection(data_connection(training_id), spec.data, submission.data_credentials))
            session.add(_connection(results_connection(training_id), spec.results, submission.results_credentials))

    def ids(self) -> set[str]:
        """Return the trainings that credentials are kept for."""
        with create_session() as session:
            names = set(session.scalars(select(Connection.conn_id).where(Connection.conn_id.like("training-%"))))
        ids = {name.rpartition(".")[0] for name in names}
        return {each for each in ids if names & {data_connection(each), results_connection(each)}}

    def forget(self, training_id: str) -> None:
        names = (data_connection(training_id), results_connection(training_id))
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id.in_(names)))


def _connection(name: str, ref: StoreRef, credentials: Credentials) -> Connection:
    return Connection(
        conn_id=name,
        conn_type="generic",
        description=f"{ref.kind} {ref.endpoint} bucket {ref.bucket}",
        # Of a connection's fields Airflow encrypts this one and shows it to nobody; a login it does not.
        password=json.dumps(asdict(credentials)),
    )


def _credentials(connection: Any) -> Credentials:
    from airflow.sdk.log import mask_secret

    found = Credentials(**json.loads(connection.password))
    mask_secret(found.secret)  # Airflow itself knows the two as one text only
    return found


def served_credentials(name: str) -> Credentials:
    """Read a store's credentials inside the api-server, which asks its own database and no other server.

    Raise TrainyardError C107 where they were forgotten with their training.
    """
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get_connection_from_secrets(name)
    except AirflowNotFoundException:
        hint = "What the run has stored is still in its bucket."
        raise TrainyardError("C107", "the credentials of the run's bucket are not kept any more", hint) from None
    return _credentials(connection)


def read_credentials(name: str) -> Credentials:
    """Read a training's credentials for a store inside a task, through whatever secrets backend is configured."""
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(name)
    return _credentials(connection)


def read_login(name: str) -> Credentials:
    """Read login and password of a connection that a person made, inside a task."""
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(name)
    return Credentials(connection.login or "", connection.password or "")
