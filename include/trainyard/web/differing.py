"""What is different among some runs: names of values, and of the metrics that most of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_SHOWN = 4


def differing(each: Sequence[Mapping[str, Any]], most: int = MAX_SHOWN) -> list[str]:
    """Return the names whose values are not the same in all; of a single one, none."""
    names = dict.fromkeys(name for values in each for name in values)
    found = (name for name in names if len({repr(values.get(name)) for values in each}) > 1)
    return [name for _, name in zip(range(most), found, strict=False)]


def common(each: Sequence[Mapping[str, Any]], most: int = 2) -> list[str]:
    """Return the names that most have, in the order in which they appear."""
    counts: dict[str, int] = {}
    for values in each:
        for name in values:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:most]
