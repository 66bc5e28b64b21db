"""What of Airflow itself the doctor looks at: its front door, parts, pools, clock and Fernet key.

Imported early: threads that import Airflow at the same time wait for each other for ever.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import httpx
from airflow.api.common.airflow_health import get_airflow_health
from airflow.models import Connection
from airflow.models.crypto import get_fernet
from airflow.models.pool import Pool
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.utils.session import create_session
from cryptography.fernet import InvalidToken
from sqlalchemy import func, select

from trainyard.airflow.frontdoor import CONNECTION, address_of
from trainyard.doctor.judging import skew
from trainyard.domain.finding import Finding, fine, wrong
from trainyard.domain.training import Credentials
from trainyard.errors import TrainyardError

_FERNET_LOST = (
    "Put the key back that they were kept with, or `airflow rotate-fernet-key` with both; without it those trainings "
    "have to be submitted again."
)
_ANSWER_SECONDS = 10.0


def door_finding(check: str) -> Finding:
    """Ask the api-server over HTTP, at the address that the service's own tasks use."""
    try:
        address = address_of(Connection.get_connection_from_secrets(CONNECTION))
    except AirflowNotFoundException:
        return wrong(check, f"there is no connection {CONNECTION}", "Make it, of type http, with an admin's login.")
    try:
        answer = httpx.get(f"{address}/api/v2/monitor/health", timeout=_ANSWER_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        hint = f"Start it or look at its log; or fix the host of the connection {CONNECTION}."
        return wrong(check, f"it does not answer at {_shown(address)}: {type(error).__name__}", hint)
    if answer.status_code != httpx.codes.OK:
        hint = f"Look whether the connection {CONNECTION} names the api-server, and at the api-server's log."
        return wrong(check, f"{_shown(address)} answers with status {answer.status_code}", hint)
    return fine(check, f"it answers at {_shown(address)}")


def credentials(connection: str) -> Credentials:
    """Read a store's credentials; raise TrainyardError S500 where there is no such connection."""
    try:
        found = Connection.get_connection_from_secrets(connection)
    except AirflowNotFoundException:
        hint = "Make it in Airflow's page, with the store's key and secret as login and password."
        raise TrainyardError("S500", f"there is no connection {connection}", hint) from None
    return Credentials(found.login or "", found.password or "")


def _shown(address: str) -> str:
    """Return an address without a user and a password that somebody put into it."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def health() -> dict[str, Any]:
    """Return Airflow's own health report, read from its database."""
    return get_airflow_health()


def pools_there() -> dict[str, tuple[int, bool]]:
    """Return pool -> its slots and whether deferred tasks keep theirs."""
    with create_session() as session:
        return {str(pool.pool): (pool.slots, bool(pool.include_deferred)) for pool in session.scalars(select(Pool))}


def database_skew() -> float:
    """Return how many seconds the database's clock is ahead of this process's."""
    with create_session() as session:
        session.connection()  # opening one may take long, and is not what is measured
        began = time.time()
        stated = session.scalar(select(func.now()))
    moment = stated if isinstance(stated, datetime) else datetime.fromisoformat(str(stated))
    ended = time.time()
    # SQLite tells UTC without saying so.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return skew(began, ended, int(aware.timestamp()))


def fernet_finding(check: str) -> Finding:
    """Look whether credentials are encrypted, and whether those that are kept can be read with the key there is."""
    if not get_fernet().is_encrypted:
        return wrong(check, "no key is set: credentials are kept in plain text", "Set AIRFLOW__CORE__FERNET_KEY.")
    try:
        kept = _read_kept()
    except InvalidToken:
        return wrong(check, "the key is not the one that credentials were kept with", _FERNET_LOST)
    return fine(check, "a key is set, and kept credentials can be read with it" if kept else "a key is set")


def _read_kept() -> bool:
    """Decrypt one kept connection's password, if there is one; raise InvalidToken where the key is another."""
    with create_session() as session:
        # Newest first: the others may have been kept with a key of before, which a rotation has not reached yet.
        newest = select(Connection).where(Connection.is_encrypted.is_(True)).order_by(Connection.id.desc())
        kept = session.scalars(newest.limit(1)).first()
        return kept is not None and kept.password is not None
