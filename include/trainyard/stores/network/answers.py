"""What parsers are given: an answer that is small enough may still unfold to a hundred times its size."""

from __future__ import annotations

from trainyard.stores.base import Why
from trainyard.stores.network.call import current

# Each of these begins or ends something that takes memory of its own; a page of 1,000 keys has 25,000.
_SIGNS = b'<{["'
_MAX_SIGNS = 400_000
# Only hostile documents declare types, and only UTF-8 is read as it is scanned here.
_DECLARES = b"<!DOCTYPE"


def check_answer(body: bytes) -> bytes:
    """Return the body if it can be parsed in little memory; fail the call if not."""
    signs = sum(body.count(sign.to_bytes()) for sign in _SIGNS)
    if signs > _MAX_SIGNS or _DECLARES in body[:4096] or b"\0" in body[:64]:
        current().fail(Why.UNTRUSTED, "its answer is none that an object store gives")
    return body
