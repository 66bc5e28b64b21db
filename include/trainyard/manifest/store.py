"""Read what a manifest connects to: its object stores with kind, bucket, address and credentials; its tracking."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from trainyard.domain.addresses import ANYWHERE, HINT, AddressPolicy, split_url
from trainyard.domain.limits import connection_fault
from trainyard.domain.training import Credentials, StoreRef
from trainyard.manifest.characters import foreign_to_ascii
from trainyard.manifest.document import Path
from trainyard.manifest.layout import StoreLayout
from trainyard.manifest.masking import MASK
from trainyard.manifest.schema import is_blank
from trainyard.manifest.values import Values

S3 = "s3"
SWIFT = "bluemix_objectstore"
TRACKING: Path = ("tracking", "mlflow")
_NOBODY = "none"
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
# What a template leaves inside an address: https://{region}.example.com, https://<host>.
_MARKER = re.compile(r"[<>{}]|\[\[|\$[A-Z_]{2}|%[A-Z_]+%")
_NAMES_ITSELF = re.compile(r"(?:[a-z0-9]+-)*(?:endpoint|auth|s3|cos)-(?:url|uri|endpoint)|(?:end-?point|url|uri)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_URL_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9a-fA-F:.]+")
_EXAMPLE = "https://s3.us-south.cloud-object-storage.appdomain.cloud"
_NO_URL = (
    "this is not the address of an object store.",
    f"Write scheme and host, such as {_EXAMPLE}.",
)
_LISTING = (
    "this page lists the endpoints and is none itself.",
    f"Open it, choose the endpoint of your bucket's region and write that, such as {_EXAMPLE}.",
)
_WRITE_BOTH = "Write its credentials, or leave the store and both of them as they were."
_SECRET = ("the address holds a user name or password.", "Write them under their own keys.")
_QUERY = ("the address has a part after ? or #.", "Write scheme and host only.")


@dataclass(frozen=True)
class Endpoint:
    """An address with its scheme; `added` says that the scheme is ours."""

    url: str
    added: bool


def read_store(values: Values, store: StoreLayout) -> tuple[StoreRef, Credentials | None] | None:
    """Return the store and its credentials, None for those of a connection that it names; None if there are faults."""
    found, prefix = _read_store(values, store), _prefix(values, store.prefix)
    if found is None or prefix is None:
        return None
    ref, given = replace(found[0], prefix=prefix), found[1]
    if given is None or MASK not in (given.user, given.secret):
        return ref, given
    earlier = values.earlier.credentials(ref) if given.user == given.secret else None
    if earlier is None:
        path = store.secret if given.secret == MASK else store.user
        values.faults.add(path, f"{path[-1]} is masked, and the store is not as in the earlier run.", _WRITE_BOTH)
        return None
    return ref, earlier


def _read_store(values: Values, store: StoreLayout) -> tuple[StoreRef, Credentials | None] | None:
    kind = _KINDS.get(values.text(store.kind) or "")
    if kind == S3 and not is_blank(values.document.value(store.connection)):
        return _named(values, store)
    bucket, endpoint = _bucket(values, store.bucket, kind), _endpoint(values, store.endpoint, kind)
    user, secret = _key_id(values, store.user, kind), _secret(values, store.secret)
    if kind is None or bucket is None or endpoint is None or user is None or secret is None:
        return None
    swift = (values.text(store.domain), values.text(store.project)) if kind == SWIFT else (None, None)
    return StoreRef(kind, bucket, endpoint, values.text(store.region), *swift), Credentials(user, secret)


def read_tracking(values: Values) -> str | None:
    """Return the connection of the MLflow server that the manifest names, empty where it wants none at all.

    None if it says nothing, or has a fault.
    """
    if _NOBODY in (values.text(TRACKING[:1]), values.text(TRACKING)):
        return ""
    name = values.text(TRACKING)
    if name is not None and (fault := connection_fault(name, values.trackers, tracking=True)):
        values.faults.add(TRACKING, *fault, "C104")
        return None
    return name


def check_store_types(values: Values) -> None:
    """Note what the schema cannot say: the type at the reference and inside `source` or `target` must agree."""
    document, layout = values.document, values.layout
    for store, side in ((layout.data, "source"), (layout.results, "target")):
        outer, inner = (*store.at, "type"), (*store.at, side, "type")
        if document.text(outer) and document.text(inner) and document.text(outer) != document.text(inner):
            message = "the type differs from the one of the reference."
            values.faults.add(inner, message, "Keep one of them.", at_key=True)


def read_endpoint(text: str, addresses: AddressPolicy = ANYWHERE) -> Endpoint | tuple[str, str]:
    """Return the endpoint, `https://` added where the scheme is missing, or message and hint of a refusal.

    Of the policy of addresses is checked what shows without a resolver.
    """
    bare = text.strip()
    added = _SCHEME.match(bare) is None
    url = f"https://{bare}" if added else bare
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not _URL_HOST.fullmatch(parts.hostname or ""):
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


def _named(values: Values, store: StoreLayout) -> tuple[StoreRef, None] | None:
    """Return the bucket behind a connection of the service's that the account may use."""
    bucket, name = _bucket(values, store.bucket, S3), values.text(store.connection)
    if name is None:
        return None
    if own := values.find_store(name):
        return (StoreRef(S3, bucket, "", connection=own), None) if bucket is not None else None
    if fault := connection_fault(name, values.connections):
        values.faults.add(store.connection, *fault, "C104")
        return None
    return (StoreRef(S3, bucket, "", connection=name), None) if bucket is not None else None


def _prefix(values: Values, path: Path) -> str | None:
    """Return the prefix as keys begin with it, empty where there is none; None if it has a fault."""
    text = values.text(path)
    if text is None:
        return None if path in values.faults else ""
    parts = text.removesuffix("/").split("/")
    if not text.isprintable() or any(part in ("", ".", "..") for part in parts):
        hint = "Write the part of the keys before the data, as in digits/2026/; it begins with no /."
        values.faults.add(path, "no object has a key that begins so.", hint)
        return None
    return "/".join([*parts, ""])


def _bucket(values: Values, path: Path, kind: str | None) -> str | None:
    text = values.text(path)
    if text is None or kind != S3:
        return text
    if not _BUCKET.fullmatch(text):
        foreign = foreign_to_ascii(text)
        message = f"this is not the name of an S3 bucket{': ' if foreign else ''}{foreign}."
        values.faults.add(path, message, f"Use {_BUCKET_RULE}.")
    elif not _BUCKET_OF_TODAY.fullmatch(text):
        values.warn(path, f"S3 stores of today make no bucket of this name; they want {_BUCKET_RULE}")
    return text


def _endpoint(values: Values, path: Path, kind: str | None) -> str | None:
    text = values.text(path)
    if text is None:
        return None
    endpoint = read_endpoint(text, values.addresses)
    if _MARKER.search(text) or _NAMES_ITSELF.fullmatch(text.lower().partition("://")[2] or text.lower()):
        values.faults.add(path, f"{path[-1]} is not filled in.", "Replace the placeholder by the real value.")
        return None
    if not isinstance(endpoint, Endpoint):
        message, hint = endpoint
        foreign = foreign_to_ascii(text)
        values.faults.add(path, f"{message[:-1]}: {foreign}." if foreign else message, hint)
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


def _key_id(values: Values, path: Path, kind: str | None) -> str | None:
    """Return the name that a request is signed with; an S3 store's goes into a header, which is ASCII."""
    text = values.text(path)
    if text and kind == S3 and (foreign := foreign_to_ascii(text)):
        character = foreign.partition(" is ")[2]
        values.faults.add(path, f"{path[-1]} holds {character}.", "Write it as the store shows it, in ASCII.")
        return None
    return text


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


def _split(url: str) -> SplitResult | None:
    return None if re.search(r"[\s\\<>\"{}|^`]", url) else split_url(url)
