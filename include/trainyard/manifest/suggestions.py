"""Which known word was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_MAX_WORD = 60
# Below it stand words that only share letters: services is no mistyped metrics, nor catboost xgboost.
_ALIKE = 0.7


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, whatever its case and punctuation."""
    plain: dict[str, str] = {}
    for name in known:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), name)
    close = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", word[:_MAX_WORD].lower()), plain, n=1, cutoff=_ALIKE)
    return plain[close[0]] if close else None


def did_you_mean(meant: str | None, otherwise: str) -> str:
    """Write a hint: what was probably meant, if that is known, and what there is."""
    return f"Did you mean {meant}? {otherwise}" if meant else otherwise
