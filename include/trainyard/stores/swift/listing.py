"""All that a container lists, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from swiftclient import ClientException

from trainyard.stores.base import Entry
from trainyard.stores.listing import ListingCheck
from trainyard.stores.network.call import Call

# A page of so many of the longest names stays below what an answer may have.
_PAGE = 1000


def rows_of(
    connection: Callable[[], Any],
    container: str,
    prefix: str,
    after: str,
    check: ListingCheck,
    calling: Callable[[], AbstractContextManager[Call]],
) -> Iterator[dict[str, Any]]:
    """Yield the rows behind a name, each page in a call of its own; raise StoreError for a listing without an end."""
    marker = after
    limit: int | None = _PAGE
    while True:
        with calling() as call:
            rows, limit = _page(connection(), container, prefix, marker, limit)
            names = [str(row["name"]) for row in rows]
            entries = [Entry(row["name"], int(row["bytes"]), str(row.get("hash", ""))) for row in rows]
        check.waited(call.waited)
        if not rows:
            return
        check.page(entries, names[0], names[-1])
        yield from rows
        marker = names[-1]


def _page(connection: Any, container: str, prefix: str, marker: str, limit: int | None) -> tuple[Any, int | None]:
    """Return a page, and how many rows to ask for in the next one."""
    try:
        return connection.get_container(container, prefix=prefix, marker=marker, limit=limit)[1], limit
    except ClientException as error:
        if error.http_status != 412 or limit is None:
            raise
    # It is set to fewer: its own pages are even smaller.
    return connection.get_container(container, prefix=prefix, marker=marker)[1], None
