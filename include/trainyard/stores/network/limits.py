"""What every connection to a store keeps to."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainyard.domain.addresses import AddressPolicy
from trainyard.settings import Settings

# No answer but the data of objects is larger: a page of a thousand keys of the greatest length has 6 MiB.
ANSWER_BYTES = 10 * 1024**2
# Slower than this nothing moves for all practical purposes, however alive its connection is.
SLOWEST = 1024


@dataclass(frozen=True)
class NetworkLimits:
    """`call_seconds` may pass in all while a store is waited for; what moves objects has as long for each standstill.

    A listing has at most `max_keys` keys in `max_pages` pages, and is waited for at most `listing_seconds`.
    """

    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    call_seconds: float = 300.0
    listing_seconds: float = 3600.0
    max_keys: int = 1_000_000
    max_pages: int = 10_000

    @classmethod
    def of(cls, settings: Settings, addresses: AddressPolicy | None = None) -> NetworkLimits:
        """Read the limits from the settings whose names begin with `store_`."""
        return cls(
            addresses or AddressPolicy.of(settings),
            settings.store_call_seconds,
            settings.store_listing_seconds,
            settings.store_max_keys,
            settings.store_max_pages,
        )
