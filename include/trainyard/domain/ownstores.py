"""Object stores that people keep under a name, for themselves or an account; manifests name them as a connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from trainyard.domain.variables import Holder

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_PREFIX = "trainyard-store."
# Says which connection a name stands for in the manifests of one user and account, None where it is no store of theirs.
FindStore = Callable[[str], str | None]


@dataclass(frozen=True)
class OwnStore:
    """What is shown of a store that is kept; `changed_at` is in seconds since the epoch."""

    name: str
    holder: Holder
    endpoint: str
    region: str
    changed_at: float
    changed_by: str


def fault_of_store_name(name: str) -> tuple[str, str] | None:
    """Return what hinders a name from being a store's, and the hint; None if nothing does."""
    if _NAME.fullmatch(name):
        return None
    return "a store cannot have this name", "Use lower-case letters, digits and dashes, at most 40."


def store_connection(holder: Holder, name: str) -> str:
    """Name the connection of a store; users and accounts may have names that no connection can have."""
    return f"{_PREFIX}{holder.key}.{name}"


def is_own_store(connection: str | None) -> bool:
    """Say whether a connection is a store that somebody keeps, which a manifest never names by its id."""
    return (connection or "").startswith(_PREFIX)


def shown_connection(connection: str | None) -> str | None:
    """Return a connection as people named it."""
    return connection.rpartition(".")[2] if connection and is_own_store(connection) else connection
