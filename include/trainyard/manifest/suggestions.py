"""Which known word was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_MAX_WORD = 60
# Below it stand words that only share letters: services is no mistyped metrics, nor catboost xgboost. In a short word
# two letters that changed places are half of it.
_ALIKE, _ALIKE_IF_SHORT, _SHORT = 0.7, 0.6, 4


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, whatever its case and punctuation."""
    plain: dict[str, str] = {}
    for name in known:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), name)
    bare = re.sub(r"[^a-z0-9]", "", word[:_MAX_WORD].lower())
    cutoff = _ALIKE if len(bare) > _SHORT else _ALIKE_IF_SHORT
    close = difflib.get_close_matches(bare, plain, n=1, cutoff=cutoff)
    return plain[close[0]] if close else None


def did_you_mean(meant: str | None, otherwise: str) -> str:
    """Write a hint: what was probably meant, if that is known, and what there is."""
    return f"Did you mean {meant}? {otherwise}" if meant else otherwise
