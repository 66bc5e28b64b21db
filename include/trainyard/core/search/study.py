"""A search as a study of Optuna's: made again from its trials whenever it is asked, so that there is none to lose."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from trainyard.core.search.trials import Trial, TrialState
from trainyard.domain.hyperparameters import Value
from trainyard.domain.search import (
    Choices,
    Goal,
    Parameter,
    Point,
    Real,
    Sampler,
    SearchSpec,
    Space,
    Whole,
    is_part,
    points_of,
)
from trainyard.errors import TrainyardError

# Optuna takes half a second to import, and most that is asked of the service has nothing to do with it.
if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

# What samplers need beside Optuna. There is no small build of torch, so it is not installed with the service.
_PACKAGES = {Sampler.GP: ("torch", "scipy")}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from printing each trial, and from warning of what is experimental in it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def missing_package(sampler: Sampler) -> str | None:
    """Return the package that a sampler needs and that is not installed here; None where it has all."""
    return next((name for name in _PACKAGES.get(sampler, ()) if find_spec(name) is None), None)


def missing_sentence(sampler: Sampler, package: str) -> tuple[str, str]:
    """Return what is wrong where a sampler's package is missing, and what to do."""
    message = f"the sampler {sampler} needs the package {package}, which this service does not have"
    return message, f"Write sampler: tpe, or have {package} installed beside the api-server, as docs/search.md says."


def ask(
    search: SearchSpec, trials: Sequence[Trial], number: int, seed: int, earlier: Iterable[Trial] = ()
) -> tuple[dict[str, Value], dict[str, Any]] | None:
    """Return the next point, that of the trial with this number, and what its sampler wants to find with it again.

    The same trials give the same point. None where there is none: a grid or a list of points is through. Raise
    TrainyardError C101 where the sampler needs a package that is not installed.
    """
    if not search.space:
        return (dict(search.points[number]), {}) if number < len(search.points) else None
    if search.sampler is Sampler.GRID and number >= len(search.points):
        points = points_of(search.space) or []
        at = number - len(search.points)
        return (dict(points[at]), {}) if at < len(points) else None
    if package := missing_package(search.sampler):
        raise TrainyardError("C101", *missing_sentence(search.sampler, package))
    with quiet():
        study = study_of(search, trials, _sampler(search, _seed_of_trial(seed, number)), earlier)
        if number < len(search.points):
            study.enqueue_trial(_drawn(search.space, search.points[number]))
        asked = study.ask()
        point: dict[str, Value] = {}
        for name, parameter in search.space.items():
            if is_part(parameter, point):
                point[name] = _suggested(asked, name, parameter)
        attrs = {key: value for key, value in study.trials[-1].system_attrs.items() if key.startswith("cma:")}
    return point, attrs


def _seed_of_trial(seed: int, number: int) -> int:
    """Return a trial's own seed; those of searches whose seeds are neighbours have none in common."""
    return zlib.crc32(f"{seed} {number}".encode())


def importances(search: SearchSpec, trials: Sequence[Trial]) -> dict[str, float]:
    """Return how much each hyperparameter matters, the most important first; all together are 1.

    Empty where there are too few trials to tell.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    counted = [trial for trial in trials if trial.counts]
    if len(counted) < 2 or len({trial.value for trial in counted}) < 2:
        return {}
    with quiet():
        study = study_of(search, counted)
        try:
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError):  # no hyperparameter that all trials have
            return {}
    return {name: float(share) for name, share in found.items()}


def study_of(
    search: SearchSpec, trials: Iterable[Trial], sampler: BaseSampler | None = None, earlier: Iterable[Trial] = ()
) -> Study:
    """Return the study of a search: the trials of an earlier one first, where they fit, then its own in order."""
    import optuna

    space = _space_of(search)
    with quiet():
        study = optuna.create_study(direction=direction_of(search), sampler=sampler, study_name="search")
        fitting = [replace(one, attrs={}) for one in earlier if one.counts and _fits(space, one.point)]
        for trial in [*fitting, *sorted(trials, key=lambda one: one.number)]:
            study.add_trial(_frozen(space, trial))
    return study


def study_json(search: SearchSpec, trials: Iterable[Trial]) -> dict[str, Any]:
    """Return a search as plain data from which Optuna makes the study again: see docs/search.md."""
    from optuna.distributions import distribution_to_json

    study = study_of(search, trials)
    return {
        "metric": search.metric,
        "direction": search.goal.value,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "value": trial.value if trial.state.is_finished() else None,
                "params": trial.params,
                "distributions": {name: distribution_to_json(one) for name, one in trial.distributions.items()},
                "intermediate_values": {str(step): value for step, value in trial.intermediate_values.items()},
                "user_attrs": trial.user_attrs,
            }
            for trial in study.trials
        ],
    }


def direction_of(search: SearchSpec) -> Literal["maximize", "minimize"]:
    return "maximize" if search.goal is Goal.MAXIMIZE else "minimize"


def _sampler(search: SearchSpec, seed: int) -> BaseSampler:
    from optuna import samplers

    match search.sampler:
        case Sampler.RANDOM:
            return samplers.RandomSampler(seed=seed)
        case Sampler.GP:
            return samplers.GPSampler(seed=seed, deterministic_objective=False)
        case Sampler.CMAES:
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case _:
            # Of those that are still running it is assumed that they do badly, or all would try the same.
            return samplers.TPESampler(seed=seed, constant_liar=True, multivariate=True, group=True)


def _frozen(space: Space, trial: Trial) -> FrozenTrial:
    from optuna.trial import TrialState as Known
    from optuna.trial import create_trial

    states = {
        TrialState.WAITING: Known.RUNNING,
        TrialState.RUNNING: Known.RUNNING,
        TrialState.COMPLETED: Known.COMPLETE if trial.counts else Known.FAIL,
        TrialState.STOPPED: Known.PRUNED,
    }
    state = states.get(trial.state, Known.FAIL)
    if trial.storing and trial.value is not None:
        state = Known.COMPLETE  # nothing that it still does changes its value
    point = {name: value for name, value in trial.point.items() if name in space and space[name].takes(value)}
    return create_trial(
        state=state,
        value=trial.value if state is Known.COMPLETE else None,
        params=_drawn(space, point),
        distributions={name: _distribution(space[name]) for name in point},
        intermediate_values=dict(trial.reported),
        user_attrs={"number": trial.number, "model_id": trial.model_id},
        system_attrs=dict(trial.attrs),
    )


def _space_of(search: SearchSpec) -> Space:
    if search.space:
        return search.space
    seen: dict[str, dict[Value, None]] = {}
    for point in search.points:
        for name, value in point.items():
            seen.setdefault(name, {})[value] = None
    return {name: Choices(tuple(values)) for name, values in seen.items()}


def _fits(space: Space, point: Point) -> bool:
    return all(name in space and space[name].takes(value) for name, value in point.items())


def _drawn(space: Space, point: Point) -> dict[str, Any]:
    """Return a point in the numbers that Optuna draws."""
    found: dict[str, Any] = {}
    for name, value in point.items():
        parameter = space[name]
        found[name] = value if isinstance(parameter, Choices) else parameter.drawn(value)
    return found


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna import distributions

    match parameter:
        case Choices(values=values):
            return distributions.CategoricalDistribution(values)
        case Whole(low=low, high=high, log=log, step=step):
            return distributions.IntDistribution(low, low + (high - low) // step * step, log=log, step=step)
        case Real(step=None):
            return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case _:
            apart = parameter.step or 1.0
            last = round(parameter.low + apart * int((parameter.high - parameter.low) / apart + 1e-9), 12)
            return distributions.FloatDistribution(parameter.low, last, step=apart)


def _suggested(asked: Any, name: str, parameter: Parameter) -> Value:
    drawn = _draw(asked, name, _distribution(parameter))
    if isinstance(parameter, Choices):
        return parameter.values[[*map(_kinded, parameter.values)].index(_kinded(drawn))]
    return parameter.value(int(drawn)) if isinstance(parameter, Whole) else _rounded(parameter, drawn)


def _draw(asked: Any, name: str, distribution: Any) -> Any:
    """Draw by the public means, one for each kind of distribution."""
    if hasattr(distribution, "choices"):
        return asked.suggest_categorical(name, distribution.choices)
    given = {"log": True} if distribution.log else {"step": distribution.step}
    suggest = asked.suggest_int if isinstance(distribution.low, int) else asked.suggest_float
    return suggest(name, distribution.low, distribution.high, **given)


def _rounded(parameter: Real, drawn: float) -> float:
    return parameter.value(round(drawn, 12) if parameter.step is not None else drawn)


def _kinded(value: Value) -> tuple[type, Value]:
    return type(value), value


def seed_of(search: SearchSpec, training_id: str) -> int:
    """Return what makes the points of a search: its own seed, or one that its training always has."""
    return zlib.crc32(training_id.encode()) if search.seed is None else search.seed
