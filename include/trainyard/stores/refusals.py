"""What is said when a store does not do what was asked: one sentence and one hint for each reason."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from trainyard.domain.addresses import HINT
from trainyard.domain.ownstores import is_own_store, shown_connection
from trainyard.domain.training import StoreRef
from trainyard.stores.base import StoreError, Why

_SENTENCES = {
    Why.CREDENTIALS: (
        "{place} refused the credentials",
        "Check key and secret (or user name, password, domain and project) in the manifest.",
    ),
    Why.NO_BUCKET: ("there is no {place}", "Check the bucket's name and the endpoint, or create the bucket."),
    Why.NO_KEY: ("{place} has no object {key!r}", "Upload it, or check its name."),
    Why.EMPTY: ("{place} is empty", "Upload the training data, or name the bucket that holds it."),
    Why.FORBIDDEN: (
        "the credentials are not allowed to {doing} {place}",
        "Give them the right to, or use others.",
    ),
    Why.BAD_KEY: ("{place} cannot hold the object {key!r}", "Rename it."),
    Why.UNREACHABLE: (
        "{place} cannot be reached",
        "Check the endpoint; if it is right, the store or the network is down: try again later.",
    ),
    Why.CHANGED: (
        "{key!r} in {place} has changed since it was listed",
        "Try again while nobody writes to the bucket.",
    ),
    Why.NO_UPLOAD: ("{place} has forgotten what was stored of {key!r}", "Try again."),
    Why.ADDRESS: ("{place} is at an address that stores may not have", HINT),
    Why.UNTRUSTED: (
        "what {place} answers cannot be relied on",
        "Use another store, or tell whoever runs this one.",
    ),
    Why.NO_HOST: (
        "the host of {place} does not exist",
        "Check the endpoint in the manifest: no name server knows its host.",
    ),
    Why.CLOCK: (
        "the clocks of {place} and of this service differ by more than the store allows",
        "Nothing is wrong with the manifest: set the clocks of the service's machines, or the store's (NTP).",
    ),
    Why.UNABLE: ("{place} cannot do what is asked of it", "Ask those who run the store."),
    Why.STALLED: ("{place} takes too long to {doing}", "Look at the store and the network, then try again."),
    Why.BROKEN: ("could not {doing} {place}", "Try again; if it stays, ask those who run the store."),
}


@dataclass(frozen=True)
class Reason:
    """What one code of a store means. `sentence` and `hint` take the place of what is said of `why` otherwise.

    `sentence` may name `{place}`, `{key}` and `{doing}`.
    """

    why: Why
    sentence: str = ""
    hint: str = ""


# What S3 and Swift stores refuse alike.
BUSY = Reason(
    Why.BROKEN,
    "{place} asks for fewer requests",
    "Try again later; whoever runs the service can lower TRAINYARD_TRANSFER_THREADS.",
)
LACKING = Reason(
    Why.UNABLE,
    "the store of {place} does not support what is needed to {doing} it",
    "Use another store, or ask those who run this one for what it lacks.",
)
# What the statuses of both stand for, where there is nothing else to tell it.
STATUSES = {
    401: Reason(Why.CREDENTIALS),
    403: Reason(Why.FORBIDDEN),
    405: Reason(Why.FORBIDDEN),
    412: Reason(Why.CHANGED),
    416: Reason(Why.CHANGED),
    429: BUSY,
    501: LACKING,
}


def place_of(ref: StoreRef) -> str:
    """Name a bucket and its endpoint for messages, without a user or password that the URL may carry.

    Of a connection of the service's the endpoint is not named.
    """
    if ref.connection:
        kind = "store" if is_own_store(ref.connection) else "connection"
        return f"bucket {ref.bucket} of the {kind} {shown_connection(ref.connection)}"
    url = urlsplit(ref.endpoint)
    return f"bucket {ref.bucket} at {urlunsplit(url._replace(netloc=url.netloc.rpartition('@')[2]))}"


def refusal(why: Why, place: str, doing: str, key: str = "", detail: str = "", hint: str = "") -> StoreError:
    """Build the error. `doing` is a verb (`read from`), `detail` what the store said, free of secrets."""
    return refusal_for(Reason(why, hint=hint), place, doing, key, detail)


def refusal_for(reason: Reason, place: str, doing: str, key: str = "", detail: str = "") -> StoreError:
    """Build the error for a reason that has a sentence or a hint of its own; the rest is as for `refusal`."""
    sentence, hint = _SENTENCES[reason.why]
    message = (reason.sentence or sentence).format(place=place, doing=doing, key=key)
    return StoreError(reason.why, f"{message}: {detail}" if detail else message, reason.hint or hint)
