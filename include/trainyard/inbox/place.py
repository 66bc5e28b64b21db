"""The setting `inbox`: a URL becomes the bucket that it means."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.base import Store
from trainyard.stores.opening import open_store

_SWIFT = "swift+"
_HINT = (
    "Write https://<s3 endpoint>/<bucket>, swift+https://<keystone>/v3/<container>?region=…&domain=…&project=… "
    "or file:///<folder>."
)


def inbox_ref(url: str) -> StoreRef:
    """Return the bucket of a URL; raise TrainyardError S500 for one that names none."""
    swift = url.startswith(_SWIFT)
    parts = urlsplit(url.removeprefix(_SWIFT))
    before, _, bucket = parts.path.rstrip("/").rpartition("/")
    kind = {"http": "s3", "https": "s3", "file": "folder"}.get(parts.scheme, "")
    if not (kind and bucket) or bool(parts.netloc) == (kind == "folder") or parts.username or (swift and kind != "s3"):
        raise TrainyardError("S500", "the setting TRAINYARD_INBOX names no bucket", _HINT)
    endpoint = f"{parts.scheme}://{parts.netloc}{before}"
    if not swift:
        return StoreRef(kind, unquote(bucket), endpoint, region=dict(parse_qsl(parts.query)).get("region"))
    named = {name: value for name, value in parse_qsl(parts.query) if name in ("region", "domain", "project")}
    return StoreRef("bluemix_objectstore", unquote(bucket), endpoint, **named)


def open_inbox(url: str, credentials: Credentials, settings: Settings) -> Store:
    """Open the inbox. Whoever runs the service names it, so it may lie anywhere."""
    ref = inbox_ref(url)
    if ref.kind == "folder":
        from trainyard.stores.folder import open_folder

        return open_folder(ref, unquote(urlsplit(ref.endpoint).path) or "/")
    return open_store(ref, credentials, settings, ANYWHERE)
