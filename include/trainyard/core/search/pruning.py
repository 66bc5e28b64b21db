"""Which trials a search stops early: Optuna's pruners, over what trials have reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trainyard.core.search.study import direction_of, quiet, study_of
from trainyard.core.search.trials import Trial
from trainyard.domain.search import Pruner, SearchSpec

if TYPE_CHECKING:
    from optuna import Study

_REDUCTION = 3


def step_to_stop(search: SearchSpec, trials: Sequence[Trial], number: int) -> int | None:
    """Return the step at which the pruner gives a trial up that is running; None where it goes on."""
    trial = next((one for one in trials if one.number == number), None)
    if search.pruner is Pruner.NONE or trial is None or not trial.reported:
        return None
    with quiet():
        prunes = _median(search, trials, trial) if search.pruner is Pruner.MEDIAN else _halving(search, trials, trial)
    return trial.reported[-1][0] if prunes else None


def _median(search: SearchSpec, trials: Sequence[Trial], trial: Trial) -> bool:
    from optuna.pruners import MedianPruner

    others = [one for one in trials if one.number != trial.number and one.counts and one.reported]
    if not others:
        return False
    # Optuna compares at one very step. Looks come when they come, and curves are thinned: what was known then counts.
    step = min(trial.reported[-1][0], max(one.reported[-1][0] for one in others))
    there = [_until(one, step) for one in others if one.reported[-1][0] >= step]
    study = study_of(search, [*there, _until(trial, step)])
    view = next(one for one in study.trials if one.user_attrs["number"] == trial.number)
    return bool(MedianPruner(n_startup_trials=4).prune(study, view))


def _until(trial: Trial, step: int) -> Trial:
    """Return a trial with what it had reported at a step, which it has then."""
    before = [pair for pair in trial.reported if pair[0] <= step]
    if not before or before[-1][0] == step:
        return replace(trial, reported=tuple(before))
    return replace(trial, reported=(*before, (step, before[-1][1])))


def _halving(search: SearchSpec, trials: Sequence[Trial], trial: Trial) -> bool:
    """Say whether successive halving gives a trial up, at the highest rung that it has reached.

    The others are reported first, step by step, which is how Optuna's pruners come to know who reached which rung.
    """
    import optuna
    from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner

    whole = [one.reported[-1][0] for one in trials if one.counts and one.reported]
    if not whole:
        return False  # how long a trial is is not known yet
    first = max(1, min(one.reported[0][0] for one in trials if one.reported))
    pruner: BasePruner = (
        HyperbandPruner(min_resource=first, max_resource=max(first + 1, *whole), reduction_factor=_REDUCTION)
        if search.pruner is Pruner.HYPERBAND
        else SuccessiveHalvingPruner(min_resource=first, reduction_factor=_REDUCTION)
    )
    study = optuna.create_study(direction=direction_of(search), pruner=pruner, study_name="search")
    verdict = False
    for one in [*(other for other in trials if other.number != trial.number and other.reported), trial]:
        verdict = _replayed(study, pruner, _at_rungs(one.reported, first))
    return verdict


def _at_rungs(reported: Sequence[tuple[int, float]], first: int) -> list[tuple[int, float]]:
    """Return what a trial had reported when it reached each rung: its pruner looks at nothing else."""
    found: list[tuple[int, float]] = []
    rung = first
    for step, value in reported:
        if step >= rung:
            found.append((step, value))
            while rung <= step:
                rung *= _REDUCTION
    return found


def _replayed(study: Study, pruner: Any, reported: Sequence[tuple[int, float]]) -> bool:
    from optuna.trial import TrialState as Known
    from optuna.trial import create_trial

    study.add_trial(create_trial(state=Known.RUNNING))
    view, reached, verdict = study.trials[-1], 0, False
    for step, value in reported:
        view.intermediate_values[step] = value
        prunes = bool(pruner.prune(study, view))
        view.system_attrs = dict(study.trials[-1].system_attrs)
        rungs = sum(1 for key in view.system_attrs if "completed_rung" in key)
        if rungs > reached:
            reached, verdict = rungs, prunes
    return verdict
