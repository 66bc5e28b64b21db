"""A run's metrics as the REST interface answers them."""

from __future__ import annotations

from typing import Any

from trainyard.workspace.metrics.curves import Curve, Point, extremes_of, thinned
from trainyard.workspace.metrics.state import MetricsState

DEFAULT_POINTS, MAX_POINTS = 2000, 10_000


def answer_of(
    state: MetricsState,
    model_id: str,
    points: int = DEFAULT_POINTS,
    since: str = "",
    complete: bool = True,
) -> dict[str, Any]:
    """Return the curves with so many points each at most; with the cursor `since` of an earlier answer what is new.

    A cursor of other metrics counts for nothing: `whole` says that the curves have all that there is.
    """
    generation, _, seen = since.partition(".")
    known = int(seen) if generation == state.generation and seen.isascii() and seen.isdigit() else 0
    curves = (_curve(curve, points, known) for curve in state.curves.by_key.values())
    return {
        "model_id": model_id,
        "curves": [curve for curve in curves if curve["points"] or not known],
        "warnings": state.remarks(),
        "cursor": cursor_of(state),
        "complete": complete,
        "whole": not known,
    }


def cursor_of(state: MetricsState) -> str:
    return f"{state.generation}.{state.curves.seen}"


def _curve(curve: Curve, most: int, known: int) -> dict[str, Any]:
    rows = curve.rows()
    low, high = extremes_of(rows) or (None, None)
    fresh = [row for row in rows if row.at > known] if known else rows
    return {
        "name": curve.name,
        "source": curve.source,
        "count": curve.count,
        "points": [_point(row) for row in thinned(fresh, most)],
        "last": _point(curve.last),
        "minimum": _point(low),
        "maximum": _point(high),
        "not_finite": curve.not_finite,
    }


def _point(row: Point | None) -> tuple[float, float | None, float] | None:
    return (row.step, row.time, row.value) if row else None
