"""The runs of trials: the port to them, and how a run is read as the trial that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from trainyard.core.catalogue import Training
from trainyard.core.runs import Run
from trainyard.core.search.deciding import MAX_ATTEMPTS, Ledger
from trainyard.core.search.trials import Trial, TrialState, metric_among, point_of, thinned, trial_id
from trainyard.domain.hyperparameters import Value
from trainyard.domain.search import SearchSpec
from trainyard.domain.states import Phase, State
from trainyard.errors import Fault

# How the message of a run begins that its search has ended.
STOPPED_EARLY = "stopped early"


class TrialRuns(Protocol):
    """The runs of trials."""

    def values(self, model_id: str) -> Mapping[str, Value] | None:
        """Return what a run was started with in the place of its manifest's values; None if nobody asked for it."""

    def start(self, training: Training, model_id: str, number: int, point: Mapping[str, Value]) -> None:
        """Start a run; once, however often it is asked for. Raise TrainyardError where it cannot be."""

    def find(self, model_id: str) -> Run | None:
        """Return a run, also one that Airflow does not have yet; None where it was deleted."""

    def curve(self, run: Run, metric: str) -> Sequence[tuple[float, float]]:
        """Return steps and values of a metric as far as they are known."""

    def end_early(self, run: Run, words: str) -> None:
        """End a run whose program runs, so that it is completed and says so; done again it does no harm."""

    def cancel(self, run: Run) -> None:
        """Cancel a run whose program does not run yet."""

    def store(self, training: Training, name: str, data: Mapping[str, Any]) -> None:
        """Store a search's study in its results bucket."""


def trials_of(runs: TrialRuns, training: Training, search: SearchSpec, ledger: Ledger) -> list[Trial]:
    """Return all trials that were asked for, from their runs, and from the ledger what these no longer report."""
    found: list[Trial] = []
    number = 0
    while number < ledger.asked or runs.values(trial_id(training.id, number)) is not None:
        found.append(ledger.ended.get(number) or _trial(runs, training, search, ledger, number))
        number += 1
    return [replace(trial, attrs=ledger.attrs.get(trial.number, {})) for trial in found]


def _trial(runs: TrialRuns, training: Training, search: SearchSpec, ledger: Ledger, number: int) -> Trial:
    attempt = 0
    while runs.values(trial_id(training.id, number, attempt + 1)) is not None:
        attempt += 1
    model_id = trial_id(training.id, number, attempt)
    run = runs.find(model_id)
    values = {**training.spec.hyperparameters, **(runs.values(model_id) or {})}
    trial = Trial(number, point_of(search, values), TrialState.CANCELED, model_id, attempt=attempt)
    return _as_run(runs, trial, run, search, ledger) if run else trial


def _as_run(runs: TrialRuns, trial: Trial, run: Run, search: SearchSpec, ledger: Ledger) -> Trial:
    outcome = run.outcome
    if run.state is State.ERROR and outcome and outcome.fault is Fault.SERVICE and trial.attempt + 1 < MAX_ATTEMPTS:
        return replace(trial, state=TrialState.FAILED if ledger.over else TrialState.WAITING, again=not ledger.over)
    curve = thinned(runs.curve(run, search.metric)) or ledger.seen.get(trial.number, ())
    metrics = outcome.metrics if outcome else {}
    last = metrics.get(metric_among(search.metric, metrics), {}).get("last")
    value = curve[-1][1] if last is None and curve else last
    stopped = bool(outcome and outcome.message.startswith(STOPPED_EARLY))
    states = {
        State.PENDING: TrialState.WAITING,
        State.RUNNING: TrialState.RUNNING if run.running_at else TrialState.WAITING,
        State.COMPLETED: TrialState.STOPPED if stopped else TrialState.COMPLETED,
        State.CANCELED: TrialState.CANCELED,
    }
    return replace(
        trial,
        state=states.get(run.state, TrialState.FAILED),
        storing=run.phase is Phase.STORING,
        value=value,
        reported=curve,
        began_at=run.running_at,
        ended_at=(outcome.finished_at if outcome else None) or run.finished_at,
        gpu_seconds=outcome.gpu_seconds if outcome else 0.0,
    )
