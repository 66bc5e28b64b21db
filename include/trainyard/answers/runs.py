"""Runs: submitted, listed, shown, what they have stored, and when their trainings are trained again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from trainyard.answers.base import Answer, Moment, Page, Whole
from trainyard.answers.metrics import MetricSummary, ProgressAnswer
from trainyard.domain.states import Phase, State
from trainyard.errors import Fault

# Documented are the values there are; one of a newer service is read all the same.
StateText = Annotated[str, Field(json_schema_extra={"enum": [state.value for state in State]})]
PhaseText = Annotated[str, Field(json_schema_extra={"enum": [phase.value for phase in Phase]})]
FaultText = Annotated[str, Field(json_schema_extra={"enum": [fault.value for fault in Fault]})]


class Submitted(Answer):
    """What a submission became; of several runs `model_ids` has all, and the rest is of the first.

    `manifest` is what is kept of it, without its credentials; `parent` is the run that it repeats.
    """

    model_id: str
    url: str = ""
    account: str = ""
    warnings: list[str] = Field(default_factory=list)
    manifest: str = ""
    model_ids: list[str] = Field(default_factory=list)
    parent: str = ""

    @property
    def all_ids(self) -> list[str]:
        return self.model_ids or [self.model_id]


class RunOutcome(Whole):
    """How a run ended; after success `code` is null and `message` is what the run warns of. `cure` is the hint.

    `metrics` has the final value and the extremes of each of the run's metrics, `image` is the very image, by its
    digest.
    """

    code: str | None = None
    fault: FaultText | None = None
    message: str = ""
    hint: str = ""
    cure: str = ""
    exit_code: int | None = None
    gpu_seconds: float = 0.0
    started_at: Moment | None = None
    finished_at: Moment | None = None
    metrics: dict[str, MetricSummary] = Field(default_factory=dict)
    image: str = ""


class LeftOutFile(Whole):
    """A file of a run that was not stored; the reason goes on after "it"."""

    name: str
    reason: str


class LeftOutFiles(Whole):
    """Which files of a run were not stored: how many, and the first of them."""

    count: int
    files: list[LeftOutFile] = Field(default_factory=list)


class TrackedRun(Whole):
    """Where an MLflow server has a run, by the connection that leads there; `warning` says why it does not have it."""

    connection: str
    experiment_id: str = ""
    run_id: str = ""
    warning: str = ""


class RunAnswer(Whole):
    """One run, as the list has it.

    `hyperparameters` are those that it trains with, `overrides` what of the manifest was replaced; `metrics` are the
    final values by name, the newest while it is going. `parent` is the run that it repeats, `trial` its number in a
    search. Only a run that is deleted has the moment of that, and until when it can be brought back.
    """

    model_id: str
    state: StateText
    training_id: str = ""
    name: str = ""
    url: str = ""
    phase: PhaseText = ""
    account: str = ""
    framework: str = ""
    gpus: int = 0
    learners: int = 1
    submitted_at: Moment | None = None
    running_at: Moment | None = None
    finished_at: Moment | None = None
    outcome: RunOutcome | None = None
    experiment: str = ""
    waiting: str | None = None
    overrides: dict[str, Any] = Field(default_factory=dict)
    left_out: LeftOutFiles | None = None
    tracked: TrackedRun | None = None
    owner: str = ""
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    progress: ProgressAnswer | None = None
    parent: str = ""
    trial: int | None = None
    deleted_at: Moment | None = None
    deleted_until: Moment | None = None

    @property
    def ended(self) -> bool:
        return self.state in {state for state in State if state.terminal}


class AlarmAnswer(Whole):
    """What a watchdog of the run has said: its kind, whether it only warns or stops the run, and why."""

    kind: str
    then: Annotated[str, Field(json_schema_extra={"enum": ["warn", "stop"]})]
    reason: str = ""


class Transfer(Whole):
    """How far the data of a run has been moved; totals grow until it is `listed`, `rate` is bytes a second."""

    doing: str
    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    listed: bool = False
    rate: float = 0.0
    seconds_left: float | None = None
    at: Moment | None = None


class ScheduleAnswer(Whole):
    """When a training is trained again; it goes by the id of its first run."""

    training_id: str
    state: Annotated[str, Field(json_schema_extra={"enum": ["active", "paused", "ended"]})]
    url: str = ""
    name: str = ""
    account: str = ""
    schedule: str = ""
    every_seconds: int | None = None
    until: Moment | None = None
    overlap: str | None = None
    next_at: Moment | None = None
    waiting: bool = False
    last_run: str | None = None
    note: str = ""


class CodeAnswer(Whole):
    """The git commit that a folder was packed from; `diff` is what its files have beyond it, `diff_cut` if more."""

    commit: str
    branch: str = ""
    dirty: bool = False
    changed: int = 0
    diff: str = ""
    diff_cut: bool = False


class RunDetails(RunAnswer):
    """One run with how far its data has been moved, its training's schedule, and the connections its stores name.

    `image`, `data_version` and `zip_sha256` say what exactly it was made of; a version is known once it is staged.
    `env` are its variables, `secrets` the names of those that nobody is shown.
    """

    image: str = ""
    data_version: str = ""
    zip_sha256: str = ""
    code: CodeAnswer | None = None
    env: dict[str, str] = Field(default_factory=dict)
    secrets: list[str] = Field(default_factory=list)
    transfer: Transfer | None = None
    alarms: list[AlarmAnswer] = Field(default_factory=list)
    connections: dict[str, str | None] | None = None
    schedule: ScheduleAnswer | None = None


class RunPage(Page):
    """A page of runs; `total` counts all that are asked for."""

    resources: list[RunAnswer]


class SchedulePage(Page):
    """A page of schedules."""

    resources: list[ScheduleAnswer]


class StoredFile(Whole):
    """A file in a run's results; `size` is in bytes."""

    name: str
    size: int


class StoredPage(Answer):
    """A page of a run's results; `continuation` is null on the last one."""

    resources: list[StoredFile]
    model_id: str = ""
    continuation: str | None = None


class LivePage(Whole):
    """A page of what a run that goes on has in its RESULT_DIR; `continuation` is null on the last one.

    `others` counts what is there and cannot be had; `whole` says whether all of the folder was looked at.
    """

    resources: list[StoredFile]
    model_id: str = ""
    continuation: str | None = None
    others: int = 0
    whole: bool = True
