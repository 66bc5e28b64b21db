"""The name of an account's priority class, by which a cluster counts the quotas of accounts that share a namespace."""

from __future__ import annotations

import hashlib
import re

_UNFIT = re.compile(r"[^a-z0-9]+")


def priority_class(prefix: str, account: str) -> str:
    """Name the priority class of an account; empty without a prefix, which means that the cluster counts no quotas.

    Names of classes are lower case and know no underscores while those of accounts distinguish both: where a name has
    to be bent, a digest keeps it from meeting another.
    """
    if not prefix:
        return ""
    bent = _UNFIT.sub("-", account.lower()).strip("-")
    digest = "" if bent == account else f"-{hashlib.sha256(account.encode()).hexdigest()[:6]}"
    return f"{prefix}{bent}{digest}"
