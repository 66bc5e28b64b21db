"""Read an object store of a manifest: kind, bucket, address and credentials."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from trainyard.domain.training import Credentials, StoreRef
from trainyard.manifest.document import Path
from trainyard.manifest.endpoint import Endpoint, read_endpoint
from trainyard.manifest.layout import StoreLayout
from trainyard.manifest.values import Values

S3 = "s3"
SWIFT = "bluemix_objectstore"
_KINDS = {
    **dict.fromkeys(("s3", "s3_datastore", "mount_cos"), S3),
    **dict.fromkeys(("bluemix_objectstore", "softlayer_objectstore", "swift", "swift_datastore"), SWIFT),
}
# What any S3 store ever took, and what those of today take; the one-machine stack's makes no others either.
_BUCKET = re.compile(r"(?!.*\.\.)(?!\d+(\.\d+){3}$)[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?")
_BUCKET_OF_TODAY = re.compile(r"(?=.{3,63}$)[a-z0-9][a-z0-9-]+[a-z0-9](\.[a-z0-9][a-z0-9-]+[a-z0-9])*")
_BUCKET_RULE = "3 to 63 lower-case letters, digits and dashes"
# S3 clients refuse every other host before they send a byte.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")


def read_store(values: Values, store: StoreLayout) -> tuple[StoreRef, Credentials] | None:
    """Return the store and its credentials; None if there are faults."""
    kind = _KINDS.get(values.text(store.kind) or "")
    bucket, endpoint = _bucket(values, store.bucket, kind), _endpoint(values, store.endpoint, kind)
    user, secret = values.text(store.user), _secret(values, store.secret)
    if kind is None or bucket is None or endpoint is None or user is None or secret is None:
        return None
    swift = (values.text(store.domain), values.text(store.project)) if kind == SWIFT else (None, None)
    return StoreRef(kind, bucket, endpoint, values.text(store.region), *swift), Credentials(user, secret)


def _bucket(values: Values, path: Path, kind: str | None) -> str | None:
    text = values.text(path)
    if text is None or kind != S3:
        return text
    if not _BUCKET.fullmatch(text):
        values.faults.add(path, "this is not the name of an S3 bucket.", f"Use {_BUCKET_RULE}.")
    elif not _BUCKET_OF_TODAY.fullmatch(text):
        values.warn(path, f"S3 stores of today make no bucket of this name; they want {_BUCKET_RULE}")
    return text


def _endpoint(values: Values, path: Path, kind: str | None) -> str | None:
    text = values.text(path)
    if text is None:
        return None
    endpoint = read_endpoint(text, values.addresses)
    if not isinstance(endpoint, Endpoint):
        values.faults.add(path, *endpoint)
        return None
    if kind == S3 and not _is_host(urlsplit(endpoint.url).hostname or ""):
        message = "this is not the host of an S3 store: hosts have letters, digits and dashes between dots, and no _."
        values.faults.add(path, message, "Write the endpoint's host as your store has it, or its IP address.")
        return None
    if endpoint.added:
        values.warn(path, f"{path[-1]} has no scheme; {endpoint.url} is used")
    return endpoint.url


def _is_host(host: str) -> bool:
    return ":" in host or _HOST.fullmatch(host) is not None


def _secret(values: Values, path: Path) -> str | None:
    """Return the secret with the blanks around it, which may belong to it, and without the line end of a block."""
    if values.text(path) is None:
        return None
    text = values.document.text(path) or ""
    secret = text.rstrip("\r\n")
    if secret != text:
        values.warn(path, f"{path[-1]} ends with a line end, which is left out; write it on the line of its key")
    if secret != secret.strip():
        values.warn(path, f"{path[-1]} begins or ends with a blank, which is taken for a part of it")
    return secret
