"""Kubernetes quantities, read as strictly as the API reads them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?")
_BINARY = {unit: Decimal(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {unit: Decimal(10) ** (3 * power) for power, unit in enumerate("num kMGTPE", start=-3) if unit != " "}
GPU = "nvidia.com/gpu"


def quantity(text: str) -> Decimal:
    """Read `500m`, `1.5`, `2Gi`, `1e3`. Raise ValueError for anything else."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, exponent, unit = match.groups()
    factor = Decimal(10) ** int(exponent) if exponent else (_BINARY | _DECIMAL).get(unit or "", Decimal(1))
    return Decimal(number) * factor


def whole(text: str) -> int:
    """Read a quantity and round it up, as the API does for bytes and devices."""
    return math.ceil(quantity(text))
