"""A listing that comes in pages from a store that may be wrong, or lie: it ends, and it is whole, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.refusals import refusal

# So long is the longest key of any store, in bytes; an etag is a digest and a number.
_MAX_KEY, _MAX_ETAG, _MAX_TOKEN = 1024, 256, 16 * 1024
# What the keys of a listing that is as long as it may be have on average: memory is taken by bytes, not by keys.
MEAN_KEY = 256
_LARGER = "Use a bucket of fewer objects, or ask whoever runs the service for a larger TRAINYARD_STORE_MAX_KEYS."


class ListingCheck:
    """Follows one listing, page by page; `place` is for messages."""

    def __init__(self, limits: NetworkLimits, place: str) -> None:
        self._limits, self._place = limits, place
        self._keys = self._bytes = self._pages = 0
        self._waited = 0.0
        self._last, self._tokens = "", set[int]()

    def waited(self, seconds: float) -> None:
        """Add what a page was waited for; raise StoreError STALLED where all pages together took too long."""
        self._waited += seconds
        if self._waited > self._limits.listing_seconds:
            detail = f"the listing is not complete after {self._limits.listing_seconds:g} seconds"
            raise refusal(Why.STALLED, self._place, "list", detail=detail)

    def leads_on(self, first: str) -> bool:
        """Say whether a page that begins with this key comes behind those before."""
        return first > self._last

    def page(self, entries: Sequence[Entry], first: str, last: str) -> None:
        """Count a page from its first to its last key.

        Raise StoreError UNTRUSTED if it does not lead on, or is too much.
        """
        self._pages += 1
        self._keys += len(entries)
        for entry in entries:
            self._check(entry)
        if last and (not self.leads_on(first) or last < first):
            raise self.wrong("its keys do not go on where they stopped")
        self._last = last or self._last
        if self._keys > self._limits.max_keys or self._bytes > self._limits.max_keys * MEAN_KEY:
            raise self.wrong(f"it has over {self._limits.max_keys} objects, or too long names for as many", _LARGER)
        if self._pages > self._limits.max_pages:
            raise self.wrong(f"its listing has over {self._limits.max_pages} pages", _LARGER)

    def token(self, token: str) -> None:
        """Note where the next page is; raise StoreError UNTRUSTED for a place that has been before."""
        if len(token) > _MAX_TOKEN or hash(token) in self._tokens:
            raise self.wrong("its listing comes back to where it was")
        self._tokens.add(hash(token))

    def wrong(self, detail: str, hint: str = "") -> StoreError:
        """Return what is to be raised for a listing that cannot be relied on."""
        return refusal(Why.UNTRUSTED, self._place, "list", detail=detail, hint=hint)

    def _check(self, entry: Entry) -> None:
        size = len(entry.key) if entry.key.isascii() else len(entry.key.encode(errors="surrogatepass"))
        self._bytes += size
        if size > _MAX_KEY or len(entry.etag) > _MAX_ETAG or entry.size < 0:
            raise self.wrong("it lists what no object can be")
