"""Which keys of objects can be paths below a folder on any machine."""

from __future__ import annotations

import re

# As Unicode has them (category Cc): they end lines, and steer the terminal of whoever lists a bucket.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")


def fault_of_key(key: str) -> str:
    """Return what hinders a key from being a path below a folder; empty if nothing does."""
    parts = key.split("/")
    if "" in parts:
        return "has an empty part"
    if "." in parts or ".." in parts:
        return "has a part that is only dots"
    if "\0" in key or not _encodes(key):
        return "has characters that no file name has"
    # 255 is a file name's limit on Linux and macOS, 1024 a key's in S3 and Swift.
    if len(key.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
        return "is too long"
    return ""


def fault_of_new_key(key: str) -> str:
    """Return what hinders a new object from having a key: also what only makes trouble; empty if nothing does."""
    return fault_of_key(key) or ("has a control character" if _CONTROL.search(key) else "")


def _encodes(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
