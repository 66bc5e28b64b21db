"""Label and field selectors, read into a test on an object."""

from __future__ import annotations

import re
from collections.abc import Callable

from localkube.objects import Obj
from localkube.status import bad_request

Test = Callable[[Obj], bool]
_LabelTest = Callable[[dict[str, str]], bool]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*([A-Za-z0-9_.-]*)")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_FIELD = re.compile(r"([A-Za-z.]+)\s*(==|=|!=)\s*(.*)")


def label_test(selector: str) -> Test:
    """Return the test of a label selector. Raise ApiError 400 for one that cannot be read."""
    tests = [_label_requirement(part.strip()) for part in re.split(r",(?![^(]*\))", selector) if part.strip()]
    return lambda obj: all(test(obj["metadata"].get("labels") or {}) for test in tests)


def field_test(selector: str) -> Test:
    """Return the test of a field selector. Raise ApiError 400 for one that cannot be read."""
    tests = [_field_requirement(part.strip()) for part in selector.split(",") if part.strip()]
    return lambda obj: all(test(obj) for test in tests)


def both(labels: str, fields: str) -> Test:
    by_label, by_field = label_test(labels), field_test(fields)
    return lambda obj: by_label(obj) and by_field(obj)


def _label_requirement(text: str) -> _LabelTest:
    if match := _SET.fullmatch(text):
        key, word, inside = match.groups()
        values = {value.strip() for value in inside.split(",")}
        return _is_in(key, values) if word == "in" else _is_not_in(key, values)
    if match := _EQUAL.fullmatch(text):
        key, sign, value = match.groups()
        return _is_not_in(key, {value}) if sign == "!=" else _is_in(key, {value})
    if match := _EXISTS.fullmatch(text):
        absent, key = match.groups()
        return lambda labels: (key in labels) is not bool(absent)
    raise bad_request(f"unable to parse requirement: {text!r} is no label selector")


def _is_in(key: str, values: set[str]) -> _LabelTest:
    return lambda labels: key in labels and labels[key] in values


def _is_not_in(key: str, values: set[str]) -> _LabelTest:
    return lambda labels: key not in labels or labels[key] not in values


def _field_requirement(text: str) -> Test:
    match = _FIELD.fullmatch(text)
    if not match:
        raise bad_request(f"invalid field selector: {text!r}; can't understand it")
    path, sign, value = match.groups()
    return lambda obj: (_field(obj, path) == value) is (sign != "!=")


def _field(obj: Obj, path: str) -> str:
    current: object = obj
    for step in path.split("."):
        current = current.get(step) if isinstance(current, dict) else None
    return "" if current is None else str(current)
