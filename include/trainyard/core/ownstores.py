"""Stores that people keep under a name: whose they are, who may change them, and what a manifest's name stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainyard.core.accounts import Caller, account_for
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.holders import holder_for, holder_order, holders_of, visible_holders
from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.limits import Limits
from trainyard.domain.ownstores import OwnStore, fault_of_store_name, store_connection
from trainyard.domain.training import Credentials
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.manifest.store import Endpoint, read_endpoint

MAX_OF_HOLDER = 50
_MAX_KEY_LENGTH = 4096
_LIST = "`trainyard store list` shows those there are."


class StoreKeeper(Protocol):
    """Keeps address and keys of stores, encrypted; what it reports of them has no keys."""

    def keep(self, store: OwnStore, keys: Credentials) -> None: ...

    def kept(self, holders: Sequence[Holder]) -> list[OwnStore]: ...

    def is_kept(self, holder: Holder, name: str) -> bool: ...

    def forget(self, holder: Holder, name: str) -> bool: ...


@dataclass(frozen=True)
class OwnStores:
    """The use case over its ports."""

    keeper: StoreKeeper
    limits: Callable[[], Limits]
    addresses: AddressPolicy
    clock: Callable[[], float]
    audit: Audit = NO_AUDIT

    def add(
        self, name: str, endpoint: str, region: str, keys: Credentials, account: str | None, caller: Caller
    ) -> OwnStore:
        """Keep a store of the caller's, or of an account of theirs; one of that name is replaced.

        Raise TrainyardError C106 for an account of others, C110 for what is no store, C114 for an address that the
        service does not allow.
        """
        with self.audit.action(caller, Action.ADD_STORE, account=account or "", details={"name": name[:60]}):
            holder = holder_for(caller, account, self.limits())
            if fault := fault_of_store_name(name) or _fault_of_keys(keys):
                raise TrainyardError("C110", *fault)
            place = read_endpoint(endpoint, self.addresses)
            if not isinstance(place, Endpoint):
                raise TrainyardError("C114", place[0].rstrip("."), place[1])
            if len({other.name for other in self.keeper.kept([holder])} - {name}) >= MAX_OF_HOLDER:
                message = f"{holder} has {MAX_OF_HOLDER} stores already"
                raise TrainyardError("C110", message, "Remove one with `trainyard store rm NAME`.")
            store = OwnStore(name, holder, place.url, region, self.clock(), caller.name)
            self.keeper.keep(store, keys)
            return store

    def list(self, caller: Caller) -> list[OwnStore]:
        """Return the caller's stores and those of their accounts, an admin's own and those of all accounts."""
        found = self.keeper.kept(visible_holders(caller, self.limits()))
        return sorted(found, key=lambda store: (holder_order(store.holder), store.name))

    def remove(self, name: str, account: str | None, caller: Caller) -> None:
        """Forget a store. Raise TrainyardError C106 for an account of others, C107 where there is no such store."""
        with self.audit.action(caller, Action.REMOVE_STORE, account=account or "", details={"name": name[:60]}):
            holder = holder_for(caller, account, self.limits())
            if not self.keeper.forget(holder, name):
                raise TrainyardError("C107", f"{holder} has no such store", _LIST)

    def connection(self, name: str, account: str | None, caller: Caller) -> str:
        """Return the connection behind a store of the caller's, or of an account. Raise TrainyardError C106, C107."""
        payer = account_for(caller, account or None, self.limits()).name
        found = self.find(caller.name, payer, name)
        if found is None:
            raise TrainyardError("C107", "there is no such store", _LIST)
        return found

    def find(self, user: str, account: str, name: str) -> str | None:
        """Return the connection that a name stands for in a user's manifest that an account pays; their own first."""
        if fault_of_store_name(name):
            return None
        kept = (holder for holder in holders_of(user, account) if self.keeper.is_kept(holder, name))
        return next((store_connection(holder, name) for holder in kept), None)


def _fault_of_keys(keys: Credentials) -> tuple[str, str] | None:
    for text in (keys.user, keys.secret):
        if not text.strip() or not text.isprintable() or len(text) > _MAX_KEY_LENGTH:
            return "an access key has to be printable text", "Copy key id and secret as the store shows them."
    return None
