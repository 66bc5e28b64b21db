"""Read the address of an object store as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from trainyard.domain.addresses import ANYWHERE, HINT, AddressPolicy

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9a-fA-F:.]+")
_EXAMPLE = "https://s3.us-south.cloud-object-storage.appdomain.cloud"
_NO_URL = (
    "this is not the address of an object store.",
    f"Write scheme and host, such as {_EXAMPLE}.",
)
_LISTING = (
    "this page lists the endpoints and is none itself.",
    f"Open it, choose the endpoint of your bucket's region and write that, such as {_EXAMPLE}.",
)
_SECRET = ("the address holds a user name or password.", "Write them under their own keys.")
_QUERY = ("the address has a part after ? or #.", "Write scheme and host only.")


@dataclass(frozen=True)
class Endpoint:
    """An address with its scheme; `added` says that the scheme is ours."""

    url: str
    added: bool


def read_endpoint(text: str, addresses: AddressPolicy = ANYWHERE) -> Endpoint | tuple[str, str]:
    """Return the endpoint, `https://` added where the scheme is missing, or message and hint of a refusal.

    Of the policy of addresses is checked what shows without a resolver.
    """
    bare = text.strip()
    added = _SCHEME.match(bare) is None
    url = f"https://{bare}" if added else bare
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or ""):
        return _NO_URL
    if "@" in parts.netloc:
        return _SECRET
    if parts.path.rstrip("/").endswith("/endpoints"):
        return _LISTING
    if parts.query or parts.fragment:
        return _QUERY
    if reason := addresses.refusal_of_url(url):
        return f"no object store may be at this address: {reason}.", HINT
    return Endpoint(url.rstrip("/"), added)


def _split(url: str) -> SplitResult | None:
    if re.search(r"[\s\\<>\"{}|^`]", url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for what is no port
    except ValueError:
        return None
    return parts
