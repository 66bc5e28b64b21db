"""A run as a row of a table: what the front door tells of it, with what is different among the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from trainyard.api.models import run_json
from trainyard.core.runs import Run
from trainyard.domain.states import Phase

MAX_SHOWN = 4


@dataclass(frozen=True)
class Row:
    """One run; `told` is its answer of the front door, moments are seconds since the epoch."""

    run: Run
    told: Mapping[str, Any]

    @property
    def owner(self) -> str:
        return self.run.owner

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        return self.run.hyperparameters

    @property
    def seconds(self) -> float | None:
        """How long its program ran; None while that is not over."""
        outcome = self.run.outcome
        began = self.run.running_at
        ended = (outcome.finished_at if outcome else None) or self.run.finished_at
        return ended - began if began and ended and ended >= began else None

    @property
    def metrics(self) -> Mapping[str, float]:
        return self.told.get("metrics") or {}

    @property
    def progress(self) -> Mapping[str, Any] | None:
        return self.told.get("progress")

    @property
    def over(self) -> bool:
        return self.run.phase is Phase.DONE


def rows_of(request: Request, runs: Iterable[Run]) -> list[Row]:
    """Return the rows of some runs, with their metrics as they are known now."""
    return [row_of(request, run) for run in runs]


def row_of(request: Request, run: Run) -> Row:
    """Return the row of one run."""
    return Row(run, run_json(run, request.app.state.metrics))


def differing(each: Sequence[Mapping[str, Any]], most: int = MAX_SHOWN) -> list[str]:
    """Return the names whose values are not the same in all; of a single one, none."""
    names = dict.fromkeys(name for values in each for name in values)
    found = (name for name in names if len({repr(values.get(name)) for values in each}) > 1)
    return [name for _, name in zip(range(most), found, strict=False)]


def common_metrics(rows: Sequence[Row], most: int = 2) -> list[str]:
    """Return the metrics that most of the rows have, in the order they tell them."""
    counts: dict[str, int] = {}
    for row in rows:
        for name in row.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:most]
