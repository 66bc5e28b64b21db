"""Moving many objects: in parallel, verified, and resumed where an earlier attempt stopped."""

from __future__ import annotations

from trainyard.stores.keys import check_keys
from trainyard.stores.moving.download import download
from trainyard.stores.moving.source import Source
from trainyard.stores.moving.terms import Terms
from trainyard.stores.moving.transferred import Transferred
from trainyard.stores.moving.upload import upload

__all__ = ["Source", "Terms", "Transferred", "check_keys", "download", "upload"]
