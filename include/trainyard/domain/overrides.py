"""What a run that was triggered with values of its own changes of its training: size, command, hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trainyard.domain.hyperparameters import COMMAND, MAX_TEXT_LENGTH, SIZE, Value, is_text, of_text
from trainyard.domain.limits import Size
from trainyard.domain.plan import Plan, amounts
from trainyard.domain.training import Resources, TrainingSpec
from trainyard.errors import Problem, TrainyardError

MAX_COMMAND_LENGTH = 100_000
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def overrides(spec: TrainingSpec, given: Mapping[str, Any]) -> dict[str, Value]:
    """Return which of the given values differ from the training's own, in the training's types.

    None stands for the training's own value. What cannot be used is passed over; `overridden` reports it.
    """
    own = fields(spec)
    read = {name: _read(name, value, own[name]) for name, value in given.items() if name in own}
    return {name: value for name, value in read.items() if value is not None and value != own[name]}


def overridden(
    spec: TrainingSpec, plan: Plan, sizes: Mapping[str, Size], given: Mapping[str, Any]
) -> tuple[TrainingSpec, Plan]:
    """Return spec and plan of a run that was triggered with the given values; unchanged where there are none.

    Raise TrainyardError C110 with every value that the training's form would not take.
    """
    if problems := _problems(spec, sizes, given):
        message = "the run was triggered with values that it cannot use"
        raise TrainyardError("C110", message, "Trigger it again with the form of the training.", problems)
    changed = overrides(spec, given)
    if SIZE in changed:
        size = sizes[str(changed[SIZE])]
        spec = replace(spec, resources=Resources(size=size.name, nodes=plan.learners))
        plan = replace(plan, **amounts(plan.account, size, plan.learners))
    values = {name: changed.get(name, value) for name, value in spec.hyperparameters.items()}
    return replace(spec, command=str(changed.get(COMMAND, spec.command)), hyperparameters=values), plan


def with_texts_read(spec: TrainingSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read values that are written as texts, as on a command line, in the types of the training's own.

    One that cannot be read stays a text; `fault_of` reports it.
    """
    own = fields(spec)
    return {name: _of_text(value, own.get(name)) for name, value in given.items()}


def _of_text(value: Any, own: Value | None) -> Any:
    if not isinstance(value, str) or own is None:
        return value
    try:
        return of_text(value, type(own))
    except ValueError:
        return value


def fields(spec: TrainingSpec) -> dict[str, Value | None]:
    """Return what a run may change, with the training's own values; no size stands for explicit amounts."""
    return {SIZE: spec.resources.size, COMMAND: spec.command, **spec.hyperparameters}


def _problems(spec: TrainingSpec, sizes: Mapping[str, Size], given: Mapping[str, Any]) -> list[Problem]:
    found = (fault_of(spec, sizes, name, value) for name, value in given.items())
    return [Problem(message, hint, code="C110") for message, hint in filter(None, found)]


def fault_of(spec: TrainingSpec, sizes: Mapping[str, Size], name: str, value: Any) -> tuple[str, str] | None:
    """Return what hinders a run from having this value and the hint; None if nothing does."""
    own = fields(spec)
    if value is None:
        return None
    if name not in own:
        return f"there is no field {name[:60]}.", f"Use one of {', '.join(own)}."
    if _read(name, value, own[name]) is None:
        return f"{name} cannot be {str(value)[:60]!r}.", f"Give {_KINDS[_kind(own[name])]}."
    if name == SIZE and value != own[SIZE] and value not in sizes:
        return f"the account has no size {str(value)[:60]}.", f"Use one of {', '.join(sizes)}."
    return None


def _kind(own: Value | None) -> type:
    return str if own is None else type(own)


def _read(name: str, value: Any, own: Value | None) -> Value | None:
    """Return a value in the type of the training's own one, None if it cannot be."""
    kind = _kind(own)
    if kind is str:
        return value if is_text(value) and _fits(name, value) else None
    if isinstance(value, bool) or kind is bool:
        return value if isinstance(value, bool) and kind is bool else None
    return _number(value, kind)


def _fits(name: str, text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_COMMAND_LENGTH if name == COMMAND else len(text) <= MAX_TEXT_LENGTH


def _number(value: Any, kind: type) -> int | float | None:
    if not isinstance(value, int | float):
        return None
    try:
        exact: int | float = kind(value)
    except (OverflowError, ValueError):  # no number of this machine, or none at all
        return None
    return exact if exact == value and math.isfinite(exact) else None
