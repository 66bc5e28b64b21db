"""A run as a row of a table: what the front door reports of it, with what is different among the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from trainyard.api.models import run_json
from trainyard.core.runs import Run
from trainyard.domain.states import Phase


@dataclass(frozen=True)
class Row:
    """One run; `answer` is its answer of the front door, moments are seconds since the epoch."""

    run: Run
    answer: Mapping[str, Any]

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
        return self.answer.get("metrics") or {}

    @property
    def progress(self) -> Mapping[str, Any] | None:
        return self.answer.get("progress")

    @property
    def over(self) -> bool:
        return self.run.phase is Phase.DONE


def rows_of(request: Request, runs: Iterable[Run]) -> list[Row]:
    """Return the rows of some runs, with their metrics as they are known now."""
    return [row_of(request, run) for run in runs]


def row_of(request: Request, run: Run) -> Row:
    """Return the row of one run."""
    return Row(run, run_json(run, request.app.state.metrics))
