"""Amounts as the Kubernetes API writes them back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trainyard.quantity import quantity


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("1000", 1000),
        (4, 4),
        ("1k", 1000),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1000000m", 1000),
        ("500m", Decimal("0.5")),
        ("250u", Decimal("0.00025")),
        ("1n", Decimal("1e-9")),
        ("2Ki", 2048),
        ("1.5Gi", Decimal("1.5") * 1024**3),
        ("1E", 10**18),
        ("1Ei", 2**60),
        (".5", Decimal("0.5")),
        ("+3", 3),
    ],
)
def test_an_amount_is_the_same_however_the_api_writes_it(written, amount):
    assert quantity(written) == amount


@pytest.mark.parametrize("written", ["", "1K", "k", "1 k", "1ki", "0x10", "1e", "1e3k", "nan", "inf", None, "1_000"])
def test_anything_else_is_refused(written):
    with pytest.raises(ValueError, match="no quantity"):
        quantity(written)
