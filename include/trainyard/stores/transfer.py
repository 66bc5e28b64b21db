"""Moving many objects: in parallel, verified, and resumed where an earlier attempt stopped."""

from __future__ import annotations

from trainyard.stores.download import download
from trainyard.stores.keys import check_keys
from trainyard.stores.source import Source
from trainyard.stores.terms import Terms
from trainyard.stores.transferred import Transferred
from trainyard.stores.upload import upload

__all__ = ["Source", "Terms", "Transferred", "check_keys", "download", "upload"]
