"""Amounts of memory and cpu, read from what people and Kubernetes write."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "": 1,
    **{unit: 1000**power for power, unit in enumerate(("k", "m", "g", "t"), start=1)},
    **{unit + "i": 1024**power for power, unit in enumerate(("k", "m", "g", "t"), start=1)},
}
# A quantity's suffixes distinguish cases: m is a thousandth, M a million.
_SUFFIXES = {
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", "k", *"MGTPE"), start=-3)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?")
_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)
_CPU = re.compile(r"\s*(\d+(?:\.\d+)?)(m?)\s*")


def quantity(written: object) -> Decimal:
    """Read an amount as the Kubernetes API writes it: `1000` may come back as `1k`, `1e3` or `1000000m`.

    Raise ValueError for anything else. Source: Kubernetes' resource.Quantity.
    """
    match = _QUANTITY.fullmatch(str(written))
    if not match:
        raise ValueError(f"{written!r} is no quantity")
    amount, exponent, suffix = match.groups()
    return Decimal(f"{amount}{exponent or ''}") * _SUFFIXES[suffix or ""]


def memory_bytes(text: str) -> int:
    """Read a memory size such as `300MiB`, `8Gb`, `16GB` or `1Gi` into bytes.

    Bits do not occur in manifests: `Gb` is what people write for GB. Raise ValueError for anything else, so that a
    mistyped size is never silently replaced by a default.
    """
    match = _MEMORY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a memory size")
    return int(Decimal(match[1]) * _UNITS[(match[2] or "").lower()])


def memory_text(size: int) -> str:
    """Write bytes as a Kubernetes quantity, in the largest binary unit that loses nothing."""
    for unit, factor in (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def cpu_millis(text: str) -> int:
    """Read a number of cpus such as `4`, `0.25` or `250m` into thousandths. Raise ValueError otherwise."""
    match = _CPU.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a number of cpus")
    return int(Decimal(match[1]) * (1 if match[2] else 1000))


def cpu_text(millis: int) -> str:
    """Write thousandths of a cpu as a Kubernetes quantity."""
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"
