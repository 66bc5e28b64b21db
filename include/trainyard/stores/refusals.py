"""What is said when a store does not do what was asked: one sentence and one cure for each reason."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from trainyard.stores.addresses import HINT
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
    Why.STALLED: ("{place} takes too long to {doing}", "Look at the store and the network, then try again."),
    Why.BROKEN: ("could not {doing} {place}", "Try again; if it stays, ask those who run the store."),
}


def place_of(bucket: str, endpoint: str) -> str:
    """Name a bucket and its endpoint for messages, without a user or password that the URL may carry."""
    url = urlsplit(endpoint)
    return f"bucket {bucket} at {urlunsplit(url._replace(netloc=url.netloc.rpartition('@')[2]))}"


def refusal(why: Why, place: str, doing: str, key: str = "", detail: str = "", cure: str = "") -> StoreError:
    """Build the error. `doing` is a verb (`read from`), `detail` what the store said, free of secrets."""
    sentence, usual_cure = _SENTENCES[why]
    message = sentence.format(place=place, doing=doing, key=key)
    return StoreError(why, f"{message}: {detail}" if detail else message, cure or usual_cure)
