"""Read `hyper_parameters_optimization`, the search of 2018, and say it as a manifest of today says a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainyard.domain.hyperparameters import as_text, fault_of_name
from trainyard.domain.search import MAX_TRIALS, Goal, Pruner, Sampler
from trainyard.manifest.document import Path
from trainyard.manifest.masking import brief
from trainyard.manifest.schema import given
from trainyard.manifest.suggestions import did_you_mean, nearest
from trainyard.manifest.values import Values

OBJECTIVE, GOAL, TRIALS = "objective", "maximize_or_minimize", "num_optimizer_steps"
_PARAMETERS = (OBJECTIVE, GOAL, TRIALS)
_VALUES = ("string_value", "int_value", "double_value")
# Hyperband is random search that stops early. RBFOpt's successor among Optuna's samplers is TPE.
_METHODS: Mapping[str, tuple[Sampler, Pruner]] = {
    "random": (Sampler.RANDOM, Pruner.NONE),
    "rbfopt": (Sampler.TPE, Pruner.NONE),
    "hyperband": (Sampler.RANDOM, Pruner.HYPERBAND),
    "bandit": (Sampler.RANDOM, Pruner.HYPERBAND),
}
# In published samples the key has a quote too many.
_STRAY_STEP = 'step"'


def read_optimization(values: Values, at: Path) -> dict[str, Any]:
    """Return the search below `at` as a manifest's `search`; what is wrong with it becomes faults.

    The shape was checked before: what does not follow it has a fault already and is passed over.
    """
    data = given(values.document.value(at))
    if not isinstance(data, dict) or _has_fault(values, at):
        return {}
    method = data["method"]
    objective, goal, trials = _method(values, (*at, "method", "parameters"), method["parameters"])
    space = _space(values, (*at, "hyper_parameters"), data["hyper_parameters"])
    sampler, pruner = _METHODS[method["name"]]
    if method["name"] == "rbfopt" and isinstance(trials, int) and trials < len(space):
        sampler = Sampler.RANDOM  # as RBFOpt did, which began with so many points at random
    return {
        "metric": objective,
        "goal": goal,
        "trials": trials,
        "sampler": sampler.value,
        "pruner": pruner.value,
        "space": space,
    }


def _method(values: Values, at: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str, int]:
    found: dict[str, tuple[Path, Any]] = {}
    for index, row in enumerate(rows):
        name, path = str(row["name"]).strip(), (*at, index)
        if name in found:
            values.faults.add((*path, "name"), f"{brief(name)} is given twice.", "Keep one of them.")
        elif name not in _PARAMETERS:
            hint = did_you_mean(nearest(name, _PARAMETERS), f"Known here: {', '.join(_PARAMETERS)}.")
            values.faults.add((*path, "name"), f"the method has no parameter {brief(name)}.", hint)
        else:
            found[name] = _value(values, path, row)
    for name in _PARAMETERS:
        if name not in found:
            hint = f"Add it to parameters, such as {_EXAMPLES[name]}."
            values.faults.add((*at, name), f"{name} is missing.", hint)
    return _objective(found.get(OBJECTIVE)), _goal(values, found.get(GOAL)), _trials(values, found.get(TRIALS))


_EXAMPLES = {
    OBJECTIVE: "{name: objective, string_value: accuracy}",
    GOAL: "{name: maximize_or_minimize, string_value: maximize}",
    TRIALS: "{name: num_optimizer_steps, int_value: 20}",
}


def _value(values: Values, path: Path, row: Mapping[str, Any]) -> tuple[Path, Any]:
    """Return the value of a method's parameter and its place, under whichever of the keys it stands."""
    keys = [key for key in _VALUES if key in row]
    if not keys:
        values.faults.add((*path, _VALUES[0]), "the parameter has no value.", f"Write it as {', '.join(_VALUES)}.")
        return path, None
    for key in keys[1:]:
        values.faults.add((*path, key), "the parameter has two values.", "Keep one of them.", at_key=True)
    return (*path, keys[0]), row[keys[0]]


def _objective(found: tuple[Path, Any] | None) -> str:
    return str(found[1]).strip() if found and found[1] is not None else ""


def _goal(values: Values, found: tuple[Path, Any] | None) -> str:
    if found is None or found[1] is None:
        return ""
    path, value = found
    text = str(value).strip().lower()
    goals = [goal.value for goal in Goal]
    if text not in goals:
        hint = did_you_mean(nearest(text, goals), f"Use one of {', '.join(goals)}.")
        values.faults.add(path, "this is no goal of a search.", hint)
    return text


def _trials(values: Values, found: tuple[Path, Any] | None) -> int:
    if found is None or found[1] is None:
        return 0
    path, value = found
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10 else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_TRIALS:
        values.faults.add(path, "this is no number of runs.", f"Write a whole number from 1 to {MAX_TRIALS}.")
        return 0
    return number


def _space(values: Values, at: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, row in enumerate(rows):
        name, path = str(row["name"]).strip(), (*at, index)
        if fault := fault_of_name(name):
            values.faults.add((*path, "name"), *fault)
        elif name in found:
            values.faults.add((*path, "name"), f"{brief(name)} is there twice.", "Keep one of them.")
        else:
            found[name] = _parameter(values, path, row)
    return found


def _parameter(values: Values, path: Path, row: Mapping[str, Any]) -> Any:
    key = next(key for key in row if key != "name")
    if key.endswith("_range"):
        return _range(values, (*path, key), row[key], whole=key == "int_range")
    found = [_KINDS[key](value) for value in row[key] if value is not None]
    if len(set(found)) < len(found):
        values.faults.add((*path, key), "a value is there twice.", "Remove one of them.")
    return found


_KINDS: Mapping[str, Callable[[Any], int | float | str]] = {
    "int_values": int,
    "double_values": float,
    "string_values": as_text,
}


def _range(values: Values, path: Path, data: Mapping[str, Any], *, whole: bool) -> Any:
    """Return a range as a manifest has it; a power of the range without a step takes every whole exponent."""
    low, high, power = data["min_value"], data["max_value"], data.get("power")
    step = data.get("step", data.get(_STRAY_STEP))
    if "step" not in data and _STRAY_STEP in data:
        values.warn((*path, _STRAY_STEP), f"{_STRAY_STEP} is read as step")
    if fault := _fault_of_range(low, high, step, power):
        values.faults.add((*path, fault[0]), *fault[1:])
        return []
    if low == high:
        return [_number(low, power, whole=whole)]
    if step is None and power is not None:
        step = 1
    kind = int if whole else float
    parts = {"low": kind(low), "high": kind(high), "step": step, "power": _exact(power)}
    return {key: value for key, value in parts.items() if value is not None}


def _fault_of_range(low: Any, high: Any, step: Any, power: Any) -> tuple[str, str, str] | None:
    """Return key, message and hint of what is wrong with a range; None if nothing is."""
    if low > high:
        return "max_value", "max_value is below min_value.", "Give the larger number as max_value."
    if step is not None and step <= 0:
        return "step", "step is not above 0.", "Write how far apart the numbers are, or remove it."
    if step is not None and low < high and step > high - low:
        return "step", "step is larger than the range is wide.", "Write a smaller one, or remove it."
    if power is not None and (power <= 0 or power == 1):
        return "power", "power is the base of the values.", "Write a number such as 2 or 10."
    if power is not None and not _fits(low, high, power):
        return "max_value", "the range has numbers that are too large.", "Write a narrower range."
    return None


def _fits(low: Any, high: Any, power: Any) -> bool:
    try:
        return max(float(power) ** float(low), float(power) ** float(high)) <= 2**53
    except OverflowError:
        return False


def _number(drawn: Any, power: Any, *, whole: bool) -> int | float:
    value = drawn if power is None else _exact(power) ** drawn
    return value if whole and isinstance(value, int) else float(value)


def _exact(power: Any) -> Any:
    """Return 2 for 2.0, so that whole exponents of it make whole numbers."""
    return int(power) if isinstance(power, float) and power.is_integer() else power


def _has_fault(values: Values, path: Path) -> bool:
    return any(found[: len(path)] == path for found in values.faults.found)
