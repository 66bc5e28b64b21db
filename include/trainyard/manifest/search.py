"""Read the search of a manifest: the metric, the rules, and the space of hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainyard.domain.hyperparameters import MAX, Value, fault_of_name
from trainyard.domain.search import (
    DEFAULT_PARALLEL,
    MAX_TRIALS,
    Choices,
    Goal,
    Parameter,
    Pruner,
    Real,
    Sampler,
    SearchSpec,
    Stop,
    Whole,
    count_points,
)
from trainyard.manifest.document import Path
from trainyard.manifest.masking import brief
from trainyard.manifest.schema import given
from trainyard.manifest.suggestions import did_you_mean, nearest
from trainyard.manifest.values import Values

AT: Path = ("search",)
_SPACE: Path = (*AT, "space")
_POINTS: Path = (*AT, "points")
# Every number of this size and below is one that Python, JSON and a program in C have alike.
_MAX_WHOLE = 2**53
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def read_search(values: Values, own: Mapping[str, Value]) -> SearchSpec | None:
    """Return the search, None for a training that has none; what is wrong with it becomes faults.

    `own` are the manifest's hyperparameters, whose types the space keeps to.
    """
    data = given(values.document.value(AT))
    if not isinstance(data, dict):
        return None
    space = _space(values, _map(data.get("space")), own)
    points = _points(values, data.get("points"), space, own)
    sampler = _one_of(Sampler, data.get("sampler"), Sampler.TPE)
    if not space and not points and not _has_fault(values, _SPACE) and not _has_fault(values, _POINTS):
        values.faults.add(_SPACE, "there is nothing to search.", "Name the hyperparameters in space, or give points.")
    trials = _trials(values, data, space, points, sampler)
    if _has_fault(values, AT):
        return None
    if sampler is Sampler.CMAES and (unordered := [n for n, p in space.items() if isinstance(p, Choices) or p.when]):
        values.warn(_SPACE, f"cmaes searches numbers alone; {brief(unordered[0])} is drawn at random")
    return SearchSpec(
        metric=str(data["metric"]).strip(),
        goal=Goal(data["goal"]),
        trials=trials,
        space=space,
        parallel=min(data.get("parallel", DEFAULT_PARALLEL), trials),
        sampler=sampler,
        pruner=_one_of(Pruner, data.get("pruner"), Pruner.NONE),
        stop=Stop(**_map(data.get("stop"))),
        seed=data.get("seed"),
        points=points,
        like=str(data.get("like", "")).strip(),
    )


def with_defaults(own: Mapping[str, Value], search: SearchSpec | None) -> dict[str, Value]:
    """Return the hyperparameters of a training: its own, and those that its search alone names."""
    if search is None:
        return dict(own)
    named = search.defaults()
    kept = {name: _as_kind(value, named.get(name, value)) for name, value in own.items()}
    return kept | {name: value for name, value in named.items() if name not in own}


def _as_kind(value: Value, like: Value) -> Value:
    return float(value) if isinstance(like, float) and type(value) is int else value


def _space(values: Values, data: Mapping[str, Any], own: Mapping[str, Value]) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    if len(data) > MAX:
        values.faults.add(_SPACE, f"there are over {MAX} hyperparameters.", "Search fewer of them.")
        return {}
    for name, one in data.items():
        path = (*_SPACE, name)
        if fault := fault_of_name(name):
            values.faults.add(path, *fault, at_key=True)
        elif not _has_fault(values, path) and (read := _parameter(values, path, one, own.get(name))):
            found[name] = read
    with_conditions = {name: _with_conditions(values, name, found, data) for name in found}
    return _in_order(values, {name: one for name, one in with_conditions.items() if one})


def _parameter(values: Values, path: Path, data: Any, own: Value | None) -> Parameter | None:
    """Read one parameter without its conditions."""
    if isinstance(data, list):
        return _choices(values, path, data, own)
    if "values" in data:
        return _choices(values, (*path, "values"), data["values"], own)
    low, high, step, power = (data.get(key) for key in ("low", "high", "step", "power"))
    if fault := _fault_of_range(low, high, step, power, bool(data.get("log"))):
        values.faults.add((*path, fault[0]), *fault[1:])
        return None
    whole = all(type(number) is int for number in (low, high, step, power) if number is not None)
    if whole and not isinstance(own, float) and not (power and low < 0):
        read: Parameter = Whole(low, high, bool(data.get("log")), 1 if step is None else step, power)
    else:
        read = Real(float(low), float(high), bool(data.get("log")), _float(step), _float(power))
    if own is not None and type(_as_kind(own, read.first)) is not type(read.first):
        _add_other_kind(values, path, own, read.first)
        return None
    return read


def _fault_of_range(low: Any, high: Any, step: Any, power: Any, log: bool) -> tuple[str, str, str] | None:
    """Return key, message and hint of what is wrong with a range; None if nothing is."""
    if not low < high:
        return "high", "high is not above low.", "Give the larger number as high."
    if log and (low <= 0 or step is not None or power is not None):
        if low <= 0:
            return "low", "a log range begins above 0.", "Write a small number such as 1e-6, or remove log."
        key = "step" if step is not None else "power"
        return key, f"log and {key} do not go together.", "Keep one of them."
    if step is not None and not 0 < step <= high - low:
        return "step", "step is not between 0 and the width of the range.", "Write a smaller one, or remove it."
    if power is not None and (power <= 0 or power == 1):
        return "power", "power is the base of the values.", "Write a number such as 2 or 10."
    if _is_too_large(low, high, power):
        return "high", "the range has numbers that are too large.", "Write a narrower range."
    if step is not None and (high - low) / step >= MAX_TRIALS * MAX:
        return "step", "the range has too many steps.", "Write a larger step, or remove it."
    return None


def _is_too_large(low: Any, high: Any, power: Any) -> bool:
    if power is None:
        return type(low) is int and type(high) is int and max(abs(low), abs(high)) > _MAX_WHOLE
    try:
        return max(float(power) ** low, float(power) ** high) > _MAX_WHOLE
    except OverflowError:
        return True


def _choices(values: Values, path: Path, data: Sequence[Any], own: Value | None) -> Choices | None:
    kinds = {type(value) for value in data} | ({type(own)} if own is not None else set())
    read = tuple(float(value) for value in data) if kinds == {int, float} else tuple(data)
    if kinds != {int, float} and len({type(value) for value in data}) > 1:
        hint = "Write all of them as numbers, or all as text in quotes."
        values.faults.add(path, "the values are of several types.", hint)
        return None
    if len(set(read)) < len(read):
        values.faults.add(path, "a value is there twice.", "Remove one of them.")
        return None
    if own is not None and type(_as_kind(own, read[0])) is not type(read[0]):
        _add_other_kind(values, path, own, read[0])
        return None
    return Choices(read)


def _add_other_kind(values: Values, path: Path, own: Value, searched: Value) -> None:
    message = f"this is {_KINDS[type(searched)]}, and {_KINDS[type(own)]} in the hyperparameters."
    values.faults.add(path, message, "Write both in the same way.")


def _with_conditions(
    values: Values, name: str, found: Mapping[str, Parameter], data: Mapping[str, Any]
) -> Parameter | None:
    parameter, one = found[name], data[name]
    given_when = _map(one.get("when")) if isinstance(one, dict) else {}
    when: dict[str, tuple[Value, ...]] = {}
    for other, wanted in given_when.items():
        path = (*_SPACE, name, "when", other)
        if other == name or other not in data:
            meant = nearest(other, [known for known in data if known != name])
            hint = did_you_mean(meant, "Name another hyperparameter of the space.")
            values.faults.add(path, f"the space has no other {brief(other)}.", hint, at_key=True)
        elif other in found:
            texts = wanted if isinstance(wanted, list) else [wanted]
            when[other] = tuple(_as_kind(value, found[other].first) for value in texts)
            if wrong := [value for value in when[other] if not found[other].takes(value)]:
                message = f"{brief(other)} never is {brief(str(wrong[0]))}."
                values.faults.add(path, message, "Write one of its values, or a list of some.")
    return replace(parameter, when=when)


def _in_order(values: Values, found: dict[str, Parameter]) -> dict[str, Parameter]:
    """Put every parameter behind those that its conditions speak of, else in the order of the file."""
    ordered: dict[str, Parameter] = {}
    left = dict(found)
    while left:
        ready = [name for name, parameter in left.items() if not any(other in left for other in parameter.when)]
        if not ready:
            name = next(iter(left))
            values.faults.add((*_SPACE, name, "when"), "the conditions go in a circle.", "Remove one of them.")
            return ordered
        for name in ready:
            ordered[name] = left.pop(name)
    return ordered


def _points(
    values: Values, data: Any, space: Mapping[str, Parameter], own: Mapping[str, Value]
) -> tuple[dict[str, Value], ...]:
    if not isinstance(data, list) or _has_fault(values, _POINTS) or _has_fault(values, _SPACE):
        return ()
    like = {**{name: value for point in reversed(data) for name, value in point.items()}, **own}
    return tuple(
        {name: _point_value(values, (*_POINTS, index, name), value, space, like) for name, value in point.items()}
        for index, point in enumerate(data)
    )


def _point_value(
    values: Values, path: Path, value: Value, space: Mapping[str, Parameter], own: Mapping[str, Value]
) -> Value:
    name = str(path[-1])
    if fault := fault_of_name(name):
        values.faults.add(path, *fault, at_key=True)
    elif name in space:
        read = _as_kind(value, space[name].first)
        if not space[name].takes(read):
            values.faults.add(path, f"{brief(name)} never is this in the space.", "Write one of its values.")
        return read
    elif space:
        hint = did_you_mean(nearest(name, space), f"The space has {', '.join(space)}.")
        values.faults.add(path, f"the space has no {brief(name)}.", hint, at_key=True)
    elif type(_as_kind(value, own[name])) is not type(own[name]):
        _add_other_kind(values, path, own[name], value)
    return _as_kind(value, own.get(name, value))


def _trials(
    values: Values,
    data: Mapping[str, Any],
    space: Mapping[str, Parameter],
    points: Sequence[Any],
    sampler: Sampler,
) -> int:
    """Return how many trials there are; a grid and a list of points say so themselves."""
    path, asked = (*AT, "trials"), data.get("trials")
    if _has_fault(values, path) or _has_fault(values, _SPACE):
        return 1
    if not space:
        return min(len(points), asked or len(points)) or 1
    if sampler is Sampler.GRID:
        return _grid_trials(values, asked, space)
    if asked is None:
        values.faults.add(path, "trials is missing.", "Write how many runs the search may make, such as trials: 20.")
    return asked or 1


def _grid_trials(values: Values, asked: int | None, space: Mapping[str, Parameter]) -> int:
    endless = [name for name, parameter in space.items() if isinstance(parameter, Real) and parameter.step is None]
    for name in endless:
        hint = "Give it a step or values, or take another sampler."
        values.faults.add((*_SPACE, name), "a grid needs values that can be counted.", hint)
    count = count_points(space)
    if not endless and asked is None and count > MAX_TRIALS:
        hint = f"Write larger steps, or trials: {MAX_TRIALS} for some of them."
        values.faults.add(_SPACE, f"the grid has {count:.0f} points, and a search {MAX_TRIALS} trials at most.", hint)
    return 1 if endless else int(min(count, asked or count, MAX_TRIALS))


def _has_fault(values: Values, path: Path) -> bool:
    """Say whether a value, or anything in it, has a fault."""
    return any(found[: len(path)] == path for found in values.faults.found)


def _one_of(kind: Any, text: Any, otherwise: Any) -> Any:
    return next((one for one in kind if one.value == text), otherwise)


def _map(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


def _float(number: Any) -> float | None:
    return None if number is None else float(number)
