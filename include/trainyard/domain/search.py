"""A search: which hyperparameters are tried, how many times, by what means, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from trainyard.domain.hyperparameters import Value

MAX_TRIALS = 1000
DEFAULT_PARALLEL = 4

When: TypeAlias = "Mapping[str, tuple[Value, ...]]"
Point: TypeAlias = "Mapping[str, Value]"


class Goal(StrEnum):
    """Whether the larger or the smaller value of the metric is the better one."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    def better(self, one: float, other: float) -> bool:
        return one > other if self is Goal.MAXIMIZE else one < other


class Sampler(StrEnum):
    """How the next point is chosen; each is one of Optuna's."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"
    GP = "gp"
    CMAES = "cmaes"


class Pruner(StrEnum):
    """How trials that do badly are stopped early; each is one of Optuna's, `asha` its successive halving."""

    NONE = "none"
    HYPERBAND = "hyperband"
    ASHA = "asha"
    MEDIAN = "median"


@dataclass(frozen=True)
class Choices:
    """One of some values, all of one type.

    `when` maps other parameters of the space to the values with which this one is part of a point; empty for one that
    always is.
    """

    values: tuple[Value, ...]
    when: When = field(default_factory=dict)

    @property
    def first(self) -> Value:
        return self.values[0]

    def all(self) -> tuple[Value, ...]:
        """Return every value that it can have, in order."""
        return self.values

    def takes(self, value: Value) -> bool:
        return any(value == one and type(value) is type(one) for one in self.values)


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included, `step` apart; with `log` each decade counts the same.

    With `power` these are exponents: the value is `power` raised to one of them.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    power: int | None = None
    when: When = field(default_factory=dict)

    @property
    def first(self) -> Value:
        return self.value(self.low)

    def value(self, drawn: int) -> int:
        """Return the value for a number between `low` and `high`."""
        return drawn if self.power is None else self.power**drawn

    def drawn(self, value: Value) -> int | None:
        """Return the number between `low` and `high` that a value comes from; None if it comes from none."""
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        if self.power is None:
            return value if self.low <= value <= self.high and (value - self.low) % self.step == 0 else None
        return next((one for one in self._numbers() if self.value(one) == value), None)

    def all(self) -> tuple[Value, ...]:
        """Return every value that it can have, in order."""
        return tuple(self.value(one) for one in self._numbers())

    def takes(self, value: Value) -> bool:
        return self.drawn(value) is not None

    def _numbers(self) -> range:
        return range(self.low, self.high + 1, self.step)


@dataclass(frozen=True)
class Real:
    """A number from `low` to `high`, both included; with `log` each decade counts the same.

    With `step` it is one of those that far apart. With `power` these are exponents: the value is `power` raised to one
    of them.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    power: float | None = None
    when: When = field(default_factory=dict)

    @property
    def first(self) -> Value:
        return self.value(self.low)

    def value(self, drawn: float) -> float:
        """Return the value for a number between `low` and `high`."""
        return float(drawn if self.power is None else self.power**drawn)

    def drawn(self, value: Value) -> float | None:
        """Return the number between `low` and `high` that a value comes from; None if it comes from none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.step is not None:
            return next((one for one in self._numbers() if math.isclose(self.value(one), value)), None)
        number = float(value) if self.power is None else _logarithm(value, self.power)
        return min(max(number, self.low), self.high) if self.low - 1e-9 <= number <= self.high + 1e-9 else None

    def all(self) -> tuple[Value, ...] | None:
        """Return every value that it can have, in order; None where there is no end of them."""
        return None if self.step is None else tuple(self.value(one) for one in self._numbers())

    def takes(self, value: Value) -> bool:
        return self.drawn(value) is not None

    def _numbers(self) -> list[float]:
        """Return the numbers a step apart; without the noise of adding fractions, and with an end that is hit."""
        step = self.step or 1.0
        count = math.floor((self.high - self.low) / step + 1e-9)
        return [round(self.low + index * step, 12) for index in range(count + 1)]


Parameter: TypeAlias = "Choices | Whole | Real"
Space: TypeAlias = "Mapping[str, Parameter]"
_KINDS: Mapping[str, Any] = {"choices": Choices, "whole": Whole, "real": Real}


@dataclass(frozen=True)
class Stop:
    """When a search is over before its trials are: whatever of these comes first.

    `value` of the metric was reached; `hours` since it began have passed; `stale` trials in a row were no better than
    the best before them; `failures` trials have failed.
    """

    value: float | None = None
    hours: float | None = None
    stale: int | None = None
    failures: int | None = None


@dataclass(frozen=True)
class SearchSpec:
    """What a search does: it tries points of `space` and looks for the best value of `metric`.

    `points` are tried first, in their order; without a space they are all that is tried. `seed` makes the points the
    same again, None leaves it to the service. `like` is an earlier search, whose trials this one knows from the start.
    """

    metric: str
    goal: Goal
    trials: int
    space: Space
    parallel: int = DEFAULT_PARALLEL
    sampler: Sampler = Sampler.TPE
    pruner: Pruner = Pruner.NONE
    stop: Stop = field(default_factory=Stop)
    seed: int | None = None
    points: tuple[Point, ...] = ()
    like: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters that it sets."""
        return tuple({**self.space, **{name: None for point in self.points for name in point}})

    def defaults(self) -> dict[str, Value]:
        """Return a value for each hyperparameter that it sets: the first or lowest one."""
        fixed = {name: value for point in reversed(self.points) for name, value in point.items()}
        return fixed | {name: parameter.first for name, parameter in self.space.items()}

    def as_dict(self) -> dict[str, Any]:
        space = {name: {"kind": _kind(parameter), **asdict(parameter)} for name, parameter in self.space.items()}
        return {**asdict(self), "space": space}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSpec:
        """Read a search back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        parts = {
            "goal": Goal(data["goal"]),
            "space": {name: _parameter(parameter) for name, parameter in data.get("space", {}).items()},
            "sampler": Sampler(data.get("sampler", Sampler.TPE)),
            "pruner": Pruner(data.get("pruner", Pruner.NONE)),
            "stop": _of(Stop, data.get("stop") or {}),
            "points": tuple(dict(point) for point in data.get("points", ())),
        }
        return cls(**{**known, **parts})


def is_part(parameter: Parameter, point: Point) -> bool:
    """Say whether a parameter is part of a point that has the values of those before it."""
    return all(name in point and point[name] in values for name, values in parameter.when.items())


def points_of(space: Space) -> list[Point] | None:
    """Return every point of a space, the last name changing fastest; None where there is no end of them.

    A parameter with a condition has to come after those that it speaks of.
    """
    found: list[Point] = [{}]
    for name, parameter in space.items():
        values = parameter.all()
        if values is None:
            return None
        found = [one for point in found for one in _with(point, name, parameter, values)]
    return found


def count_points(space: Space) -> float:
    """Return how many points a space without conditions has at most; infinity where there is no end of them."""
    count = 1.0
    for parameter in space.values():
        if isinstance(parameter, Choices):
            count *= len(parameter.values)
        elif parameter.step is None:
            return math.inf
        else:
            count *= math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1
    return count


def _with(point: Point, name: str, parameter: Parameter, values: Sequence[Value]) -> list[Point]:
    return [{**point, name: value} for value in values] if is_part(parameter, point) else [point]


def _kind(parameter: Parameter) -> str:
    return next(kind for kind, made in _KINDS.items() if isinstance(parameter, made))


def _parameter(data: Mapping[str, Any]) -> Parameter:
    parts: dict[str, Any] = {"when": {name: tuple(values) for name, values in (data.get("when") or {}).items()}}
    if "values" in data:
        parts["values"] = tuple(data["values"])
    made: Parameter = _of(_KINDS[data["kind"]], {**data, **parts})
    return made


def _logarithm(value: float, base: float) -> float:
    return math.log(value, base) if value > 0 else math.nan


def _of(made: Any, data: Mapping[str, Any]) -> Any:
    return made(**{key: value for key, value in data.items() if key in made.__dataclass_fields__})
