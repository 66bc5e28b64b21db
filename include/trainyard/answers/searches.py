"""Searches: their trials, the best of them, and how far they are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from trainyard.answers.base import Answer, Moment, Whole

SearchState = Annotated[str, Field(json_schema_extra={"enum": ["running", "paused", "over", "canceled"]})]
TrialStateText = Annotated[
    str, Field(json_schema_extra={"enum": ["waiting", "running", "completed", "stopped", "failed", "canceled"]})
]


class TrialAnswer(Whole):
    """One trial of a search: its point and, once it has one, the value of the search's metric.

    `stopped` ones were ended early; `attempt` counts from 0 how often the infrastructure took a run with its point.
    """

    number: int
    model_id: str
    state: TrialStateText
    point: dict[str, Any] = Field(default_factory=dict)
    value: float | None = None
    steps: int | None = None
    began_at: Moment | None = None
    ended_at: Moment | None = None
    gpu_seconds: float = 0.0
    attempt: int = 0


class SearchAnswer(Whole):
    """A search. `over` says why it starts no trials any more, `note` what keeps it from starting some now.

    `importances` says how much each hyperparameter matters, 1 in all; empty while nothing is known. Times are in
    seconds.
    """

    training_id: str
    state: SearchState
    experiment: str = ""
    name: str = ""
    account: str = ""
    owner: str = ""
    metric: str = ""
    goal: str = ""
    sampler: str = ""
    pruner: str = ""
    parallel: int = 1
    total: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    over: str = ""
    note: str = ""
    best: TrialAnswer | None = None
    importances: dict[str, float] = Field(default_factory=dict)
    gpu_hours: float = 0.0
    began_at: Moment | None = None
    over_at: Moment | None = None
    seconds_left: float | None = None
    trials: list[TrialAnswer] = Field(default_factory=list)


class SearchesSettled(Answer):
    """What the service's own user gets: after how many seconds to look again, null while no search goes on."""

    again_seconds: float | None = None
