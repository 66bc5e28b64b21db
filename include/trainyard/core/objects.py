"""Objects in the stores that people keep: listed, stored and removed by whoever may name the store in a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trainyard.core.accounts import Caller, account_for
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.ownstores import OwnStores
from trainyard.domain.objectkeys import fault_of_new_key
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Store
from trainyard.stores.moving.receiving import Incoming, receive


@dataclass(frozen=True)
class OwnBucket:
    """A bucket of a store that a caller may use; every method asks the store and is recorded."""

    store: Store
    account: str
    about: Mapping[str, Any]
    caller: Caller
    audit: Audit = NO_AUDIT

    def page(self, prefix: str, after: str, limit: int) -> list[Entry]:
        """Return the objects below a prefix whose keys come behind one, a page and one object more where there is."""
        with self._recorded(Action.LIST_OBJECTS, prefix):
            return list(islice(self.store.list(prefix, after), limit + 1))

    def put(self, key: str, source: Incoming, size: int, digest: str) -> Entry:
        """Store an object as it arrives, whole or not at all; raise TrainyardError C110 for a key that it cannot have.

        `digest` is its MD5 in hex, empty where that is not known before.
        """
        with self._recorded(Action.PUT_OBJECT, key, bytes=size):
            if fault := fault_of_new_key(key):
                raise TrainyardError("C110", f"no object can be named {key[:200]!r}: the name {fault}", "Rename it.")
            return receive(self.store, key, source, size, digest)

    def remove(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with self._recorded(Action.REMOVE_OBJECT, key):
            self.store.delete(key)

    def _recorded(self, action: Action, key: str, **more: Any) -> AbstractContextManager[object]:
        return self.audit.action(self.caller, action, account=self.account, details={**self.about, "key": key, **more})


@dataclass(frozen=True)
class StoreObjects:
    """The use case over the stores that are kept; `open_bucket` opens a bucket of one by its connection."""

    stores: OwnStores
    open_bucket: Callable[[str, str], Store]

    def bucket(self, name: str, bucket: str, account: str | None, caller: Caller) -> OwnBucket:
        """Return a bucket of a store of the caller's or of an account, of which nothing is asked yet.

        Raise TrainyardError C106 for an account of others, C107 where there is no such store.
        """
        about = {"store": name[:60], "bucket": bucket}
        payer = account_for(caller, account or None, self.stores.limits()).name
        with self.stores.audit.refusals(caller, Action.LIST_OBJECTS, account=payer, details=about):
            connection = self.stores.connection(name, account, caller)
        return OwnBucket(self.open_bucket(connection, bucket), payer, about, caller, self.stores.audit)
