"""Stored training definitions and experiments, and the runs of experiments."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainyard.answers.base import Moment, Page, Whole
from trainyard.answers.runs import RunAnswer, StateText
from trainyard.domain.states import State


class DocumentAnswer(Whole):
    """A stored document, as the list has it; `version_id` and `zip_sha256` are a training definition's."""

    id: str
    url: str = ""
    name: str = ""
    account: str = ""
    owner: str = ""
    created_at: Moment | None = None
    version_id: str | None = None
    zip_sha256: str | None = None


class DocumentDetails(DocumentAnswer):
    """A stored document: what it says as data, and its text as YAML, both without credentials.

    `warnings` are those of the moment when it was stored.
    """

    content: dict[str, Any] = Field(default_factory=dict)
    manifest: str = ""
    warnings: list[str] = Field(default_factory=list)


class DocumentPage(Page):
    """A page of stored documents."""

    resources: list[DocumentAnswer]


class ExperimentRunAnswer(Whole):
    """A run of an experiment; `experiment` is the name that its trainings share, `states` counts these by their state.

    `model_ids` are those of its trainings that the history has.
    """

    id: str
    state: StateText
    url: str = ""
    experiment_id: str = ""
    experiment: str = ""
    account: str = ""
    owner: str = ""
    created_at: Moment | None = None
    states: dict[str, int] = Field(default_factory=dict)
    model_ids: list[str] = Field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.state in {state for state in State if state.terminal}


class ExperimentRunDetails(ExperimentRunAnswer):
    """A run of an experiment with its trainings, as the list of runs has them."""

    trainings: list[RunAnswer] = Field(default_factory=list)


class ExperimentRunPage(Page):
    """A page of an experiment's runs."""

    resources: list[ExperimentRunAnswer]
