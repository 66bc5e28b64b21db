"""What the masked values of an earlier training's manifest stand for, so that another one can start from its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainyard.domain.notification import Address
from trainyard.domain.training import Credentials, StoreRef


@dataclass(frozen=True)
class Earlier:
    """The stores of an earlier training with their credentials, and the addresses that it notifies."""

    stores: Sequence[tuple[StoreRef, Credentials]] = ()
    addresses: Sequence[Address] = ()

    def credentials(self, ref: StoreRef) -> Credentials | None:
        """Return the credentials of a store; None unless it is the very same, down to bucket and prefix."""
        return next((found for known, found in self.stores if known == ref), None)

    def address(self, shown: str) -> Address | None:
        """Return the address that is shown so; None if there is none, or more than one."""
        found = {address for address in self.addresses if address.shown == shown}
        return found.pop() if len(found) == 1 else None


NOTHING_EARLIER = Earlier()
