"""A reference to a store + credentials -> the store."""

from __future__ import annotations

from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.base import SigningKeys, Store
from trainyard.stores.network.limits import NetworkLimits

KINDS = ("s3", "bluemix_objectstore", "folder")


def open_store(
    ref: StoreRef, credentials: Credentials | SigningKeys, settings: Settings, addresses: AddressPolicy | None = None
) -> Store:
    """Return the store. Nothing is sent yet: wrong credentials, buckets or addresses show at the first use.

    It may be where the settings let the stores of manifests be, unless `addresses` says otherwise.

    Raise TrainyardError C101 for an unknown kind, and for a folder where the setting `folder_stores` does not allow it.
    """
    limits = NetworkLimits.of(settings, addresses)
    # Each adapter costs 0.4 to 0.7 s of imports, so only the one that is needed is loaded.
    if ref.kind == "s3":
        from trainyard.stores.s3.adapter import S3Store

        given = (settings.transfer_threads, settings.s3_addressing, settings.ca_bundle, limits)
        return S3Store(ref, credentials, *given)
    if not isinstance(credentials, Credentials):
        raise TrainyardError("C101", f"a store of the kind {ref.kind} has no keys that change", "Use an s3 store.")
    if ref.kind == "bluemix_objectstore":
        from trainyard.stores.swift.adapter import SwiftStore

        return SwiftStore(ref, credentials, settings.ca_bundle, settings.swift_segment_bytes, limits)
    if ref.kind == "folder":
        from trainyard.stores.folder import open_folder

        return open_folder(ref, settings.folder_stores)
    raise TrainyardError("C101", f"there is no kind of store {ref.kind!r}", f"Use one of {', '.join(KINDS[:2])}.")
