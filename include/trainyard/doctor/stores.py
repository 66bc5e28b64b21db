"""Whether a store lets the service in: its first object is asked for."""

from __future__ import annotations

from collections.abc import Callable

from trainyard.domain.finding import Finding, fine, wrong
from trainyard.errors import TrainyardError
from trainyard.stores.base import Store

INBOX, STORE = "inbox", "store"


def store_finding(check: str, opened: Callable[[], Store]) -> Finding:
    """Open the store and list it as far as its first object. Messages of stores hold no secrets."""
    try:
        store = opened()
        next(iter(store.list()), None)
    except TrainyardError as error:
        return wrong(check, error.message, error.hint)
    return fine(check, f"{store.place} lets the service in")
