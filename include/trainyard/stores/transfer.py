"""Moving many objects: in parallel, verified, and resumed where an earlier attempt stopped."""

from __future__ import annotations

from trainyard.stores.keys import check_keys
from trainyard.stores.moving.download import download
from trainyard.stores.moving.upload import upload
from trainyard.stores.moving.values import Source, Terms, Transferred

__all__ = ["Source", "Terms", "Transferred", "check_keys", "download", "upload"]
