"""Moments as answers and questions have them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(epoch: float | None) -> str | None:
    """Return seconds since the epoch as RFC 3339 in UTC, to the second."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(moment: datetime | None) -> float | None:
    """Return a moment in seconds since the epoch; one without an offset is in UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
