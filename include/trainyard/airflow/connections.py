"""Credentials of stores, kept as Airflow connections, encrypted with the Fernet key.

A training's own S3 store is a connection of the type aws. Its key id and secret are in `extra`: of a connection Airflow
encrypts `password` and `extra` and not `login`, and a key id is shown to nobody either. The credentials of Swift and of
folders are JSON in `password`. Those of S3 were, too, before 0.2: they are read all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from airflow.models import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from trainyard.core.catalogue import Training
from trainyard.core.documents.files import Kind
from trainyard.domain.earlier import Earlier
from trainyard.domain.names import (
    data_connection,
    document_connection,
    document_of,
    notify_connection,
    results_connection,
)
from trainyard.domain.notification import Address
from trainyard.domain.ownstores import is_own_store, shown_connection
from trainyard.domain.training import Credentials, StoreRef, Submission
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.base import Store

_AWS = "aws"


class ConnectionVault:
    """Keep and forget the connections `<training id>.data`, `<training id>.results` and `<training id>.notify`.

    A store that names a connection of the service's has none of its own, and that one is never touched.
    """

    def keep(self, training_id: str, submission: Submission) -> None:
        spec = submission.spec
        kept = (
            (data_connection(training_id), spec.data, submission.data_credentials),
            (results_connection(training_id), spec.results, submission.results_credentials),
        )
        with create_session() as session:
            session.add_all(_connection(name, ref, found) for name, ref, found in kept if found is not None)
            if any(submission.addresses):
                session.add(_of_addresses(notify_connection(training_id), submission.addresses))

    def read(self, training: Training) -> Earlier:
        """Return what is kept of a training: its stores' own credentials and the addresses of its manifest."""
        spec, own = training.spec, _names(training.id)
        with create_session() as session:
            lines = session.scalars(select(Connection).where(Connection.conn_id.in_(own)))
            found = {each.conn_id: each for each in lines}
            data, results, notify = map(found.get, own)
            sides = ((spec.data, data), (spec.results, results))
            stores = [(ref, _credentials(kept)) for ref, kept in sides if kept is not None and not ref.connection]
            rows = json.loads(notify.password) if notify is not None else []
        return Earlier(stores, [Address(**row) for row in rows if row])

    def keep_address(self, connection: str, address: Address) -> None:
        """Keep an address under a name of its own, in the place of what was kept there."""
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == connection))
            session.add(_of_addresses(connection, [address]))

    def forget_address(self, connection: str) -> None:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == connection))

    def ids(self) -> set[str]:
        """Return the trainings that credentials are kept for."""
        with create_session() as session:
            names = set(session.scalars(select(Connection.conn_id).where(Connection.conn_id.like("training-%"))))
        ids = {name.rpartition(".")[0] for name in names}
        return {each for each in ids if names & set(_names(each))}

    def forget(self, training_id: str) -> None:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id.in_(_names(training_id))))


def _names(training_id: str) -> tuple[str, ...]:
    return data_connection(training_id), results_connection(training_id), notify_connection(training_id)


def _of_addresses(name: str, addresses: Sequence[Address | None]) -> Connection:
    rows = [asdict(address) if address else None for address in addresses]
    shown = ", ".join(address.shown for address in addresses if address)[:500]
    return Connection(conn_id=name, conn_type="generic", description=shown, password=json.dumps(rows))


def _connection(name: str, ref: StoreRef, credentials: Credentials) -> Connection:
    description = f"{ref.kind} {ref.endpoint} bucket {ref.bucket}"
    if ref.kind != "s3":
        password = json.dumps(asdict(credentials))
        return Connection(conn_id=name, conn_type="generic", description=description, password=password)
    keys = {"aws_access_key_id": credentials.user, "aws_secret_access_key": credentials.secret}
    region = {"region_name": ref.region} if ref.region else {}
    extra = json.dumps({**keys, "endpoint_url": ref.endpoint, **region})
    return Connection(conn_id=name, conn_type=_AWS, description=description, extra=extra)


def open_kept(ref: StoreRef, own: str, settings: Settings) -> Store:
    """Open a bucket inside a task: with the connection that it names, else with a training's `own`.

    Connections come from whatever secrets backend is configured. Raise TrainyardError S500 where the named one is not
    there, and as `open_connected` does.
    """
    from airflow.sdk import BaseHook

    return _opened(ref, own, settings, BaseHook.get_connection)


def open_served(ref: StoreRef, own: str, settings: Settings) -> Store:
    """Open a bucket as `open_kept` does inside the api-server, which asks its own database and no other server.

    Raise TrainyardError C107 where the credentials were forgotten with their training.
    """
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return _opened(ref, own, settings, Connection.get_connection_from_secrets)
    except AirflowNotFoundException:
        hint = "What the run has stored is still in its bucket."
        raise TrainyardError("C107", "the credentials of the run's bucket are not kept any more", hint) from None


def open_given(ref: StoreRef, given: Mapping[str, Any], settings: Settings) -> Store:
    """Open a bucket with a connection that whoever started this process has read, by its fields."""
    from airflow.sdk import Connection as Given

    return _opened(ref, "", settings, lambda _: Given(**given))


def _opened(ref: StoreRef, own: str, settings: Settings, read: Callable[[str], Any]) -> Store:
    connection = _named(ref.connection, read) if ref.connection else read(own)
    if ref.connection or connection.conn_type == _AWS:
        # It imports the amazon provider and, through it, boto3.
        from trainyard.airflow.awsconnections import open_connected

        _mask(connection.extra_dejson.get("aws_secret_access_key"))
        return open_connected(ref, connection, settings)
    from trainyard.stores.opening import open_store

    found = Credentials(**json.loads(connection.password))
    _mask(found.secret)  # Airflow itself knows the two as one text only
    return open_store(ref, found, settings)


def _named(name: str, read: Callable[[str], Any]) -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return read(name)
    except AirflowNotFoundException:
        if is_own_store(name):
            message = f"the store {shown_connection(name)} is not kept any more"
            raise TrainyardError("C103", message, "Keep it again with `trainyard store add`.") from None
        hint = "Ask whoever runs the service to make it in Airflow, of the type aws: quotas.yaml names it."
        raise TrainyardError("S500", f"there is no connection {name}", hint) from None


def _mask(secret: str | None) -> None:
    from airflow.sdk.log import mask_secret

    if secret:
        mask_secret(secret)


def read_login(name: str) -> Credentials:
    """Read login and password of a connection that a person made, inside a task."""
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(name)
    return Credentials(connection.login or "", connection.password or "")


class ConnectionDocumentVault:
    """Keep and forget the connections of stored documents, `definition-<id>.data` and `experiment-<id>.results`.

    Its documents' own credentials alone: a store that names a connection of the service's has none here.
    """

    def keep(self, kind: Kind, document_id: str, stores: Mapping[str, tuple[StoreRef, Credentials]]) -> None:
        made = [_connection(document_connection(kind, document_id, side), *store) for side, store in stores.items()]
        with create_session() as session:
            session.add_all(made)

    def read(self, kind: Kind, document_id: str, side: str) -> Credentials | None:
        """Return the credentials of one of a document's stores; None if there are none."""
        name = document_connection(kind, document_id, side)
        with create_session() as session:
            found = session.scalars(select(Connection).where(Connection.conn_id == name)).first()
            return _credentials(found) if found else None

    def forget(self, kind: Kind, document_id: str) -> None:
        names = [document_connection(kind, document_id, side) for side in _SIDES]
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id.in_(names)))

    def ids(self) -> dict[str, Kind]:
        """Return the documents that credentials are kept for."""
        with create_session() as session:
            names = set(session.scalars(select(Connection.conn_id).where(Connection.conn_id.like("%-%.%"))))
        return {document_id: Kind(kind) for document_id, kind in filter(None, map(document_of, names))}


_SIDES = ("data", "results")


def _credentials(connection: Connection) -> Credentials:
    """Return what is kept in a connection, and let no log show it."""
    if connection.conn_type == _AWS:
        extra = connection.extra_dejson
        found = Credentials(extra["aws_access_key_id"], extra["aws_secret_access_key"])
    else:
        found = Credentials(**json.loads(connection.password))
    _mask(found.secret)
    return found
