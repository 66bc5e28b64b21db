"""A reference to a store + credentials -> the store."""

from __future__ import annotations

from typing import Any

from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import TrainyardError
from trainyard.stores.base import Store

KINDS = ("s3", "bluemix_objectstore", "folder")


def open_store(ref: StoreRef, credentials: Credentials, settings: Any) -> Store:
    """Return the store. Nothing is sent yet: wrong credentials or buckets show at the first use.

    Raise TrainyardError C101 for an unknown kind, and for a folder where the setting `folder_stores` does not allow it.
    """
    # Each adapter costs 0.4 to 0.7 s of imports, so only the one that is needed is loaded.
    if ref.kind == "s3":
        from trainyard.stores.s3.adapter import S3Store

        return S3Store(ref, credentials, settings.transfer_threads, settings.s3_addressing, settings.ca_bundle)
    if ref.kind == "bluemix_objectstore":
        from trainyard.stores.swift.adapter import SwiftStore

        return SwiftStore(ref, credentials, settings.ca_bundle, settings.swift_segment_bytes)
    if ref.kind == "folder":
        from trainyard.stores.folder import open_folder

        return open_folder(ref, settings.folder_stores)
    raise TrainyardError("C101", f"there is no kind of store {ref.kind!r}", f"Use one of {', '.join(KINDS[:2])}.")
