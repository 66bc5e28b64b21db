"""Check a document's shape by its JSON schema and say in plain sentences what is wrong.

Three annotations in the schemas carry sentences that fit better than the general ones. `x-refusal` maps a keyword of
the same subschema to `{message, hint, code}`; `x-values` maps a value that is not in `enum` to the same, and `x-keys` a
key of another format, with the key that `replaces` it where there is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from trainyard.manifest.document import Document, Path
from trainyard.manifest.faults import MAX_PROBLEMS, Faults
from trainyard.manifest.masking import brief
from trainyard.manifest.suggestions import nearest
from trainyard.settings import data_file

_KINDS = {
    "object": ("a map", "Write its keys below it, indented."),
    "array": ("a list", "Write each entry after `- `."),
    "string": ("text", "Write it as text, in quotes."),
    "integer": ("a whole number", "Write a whole number."),
    "number": ("a number", "Write a number."),
    "boolean": ("true or false", "Write true or false."),
}


def check_shape(document: Document, schema: str, faults: Faults) -> None:
    """Note everything by which the document departs from `schemas/<schema>.schema.json`.

    A key without a value counts as not given.
    """
    errors = _validator(schema).iter_errors(given(document.data))
    for error in islice(errors, 2 * MAX_PROBLEMS):
        _ADDERS.get(str(error.validator), _add_other)(error, faults)


def given(value: Any) -> Any:
    """Return the data without the keys whose value is null or blank."""
    if isinstance(value, dict):
        return {key: given(inner) for key, inner in value.items() if not is_blank(inner)}
    return [given(inner) for inner in value] if isinstance(value, list) else value


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


@cache
def schema_data(name: str) -> dict[str, Any]:
    """Return one of the shipped schemas by its name, such as `manifest`.

    `x-defs` names another one whose definitions it uses; they are put into it, so that it stands by itself.
    """
    data: dict[str, Any] = json.loads(data_file(f"schemas/{name}.schema.json").read_text("utf-8"))
    if other := data.pop("x-defs", None):
        data["$defs"] = {**schema_data(other)["$defs"], **data["$defs"]}
    return data


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_data(name))


def _add_unknown_keys(error: ValidationError, faults: Faults) -> None:
    known = list(error.schema.get("properties", {}))
    special = error.schema.get("x-keys", {})
    for key in islice((key for key in error.instance if key not in known), MAX_PROBLEMS):
        if key in special:
            faults.add((*_path(error), key), special[key]["message"], special[key]["hint"], at_key=True)
            continue
        if general := error.schema.get("x-refusal", {}).get("additionalProperties"):
            faults.add((*_path(error), key), general["message"], general["hint"], at_key=True)
            continue
        meant = nearest(key, known)
        hint = f"Did you mean {meant}?" if meant else f"Known here: {', '.join(known)}."
        path = (*_path(error), key)
        faults.add(path, f"there is no key {brief(key)}.", hint, at_key=True)


def _add_missing(error: ValidationError, faults: Faults) -> None:
    replaced = {row.get("replaces") for key, row in error.schema.get("x-keys", {}).items() if key in error.instance}
    for name in error.validator_value:
        if name not in error.instance and name not in replaced:
            _add_absent(_path(error), [name], faults)


def _add_alternatives(error: ValidationError, faults: Faults) -> None:
    if not isinstance(error.instance, dict):
        return  # its type is the fault
    names = list(_required_names(error.validator_value))
    present = [name for name in names if name in error.instance]
    if not present:
        _add_absent(_path(error), names, faults)
        return
    for name in present[1:]:
        general = {"message": f"{name} and {present[0]} are both given and mean the same.", "hint": "Keep one of them."}
        refusal = error.schema.get("x-refusal", {}).get(str(error.validator), general)
        faults.add((*_path(error), name), refusal["message"], refusal["hint"], at_key=True)


def _add_absent(parent: Path, names: list[str], faults: Faults) -> None:
    blank = next((name for name in names if faults.document.has((*parent, name))), None)
    if blank:
        faults.add((*parent, blank), f"{blank} has no value.", "Fill it in.")
    else:
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        faults.add((*parent, names[0]), f"{names[0]} is missing.", f"Add {names[0]}{others}.")


def _add_type(error: ValidationError, faults: Faults) -> None:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    expected = " or ".join(_KINDS[kind][0] for kind in wanted if kind in _KINDS)
    faults.add(_path(error), f"{_name(error)} is {_kind_of(error.instance)}, not {expected}.", _KINDS[wanted[0]][1])


def _add_choice(error: ValidationError, faults: Faults) -> None:
    known = [str(value) for value in error.validator_value] if error.validator == "enum" else [error.validator_value]
    special = error.schema.get("x-values", {}).get(error.instance if isinstance(error.instance, str) else "")
    if special:
        _refuse(error, special, faults)
        return
    meant = nearest(str(error.instance)[:60], known)
    hint = f"Use one of {', '.join(known)}." if len(known) > 1 else f"Use {known[0]}."
    hint = f"Did you mean {meant}? {hint}" if meant and len(known) > 1 else hint
    faults.add(_path(error), f"{_name(error)} cannot be this.", hint)


def _add_other(error: ValidationError, faults: Faults) -> None:
    keyword = str(error.validator)
    general = {"message": f"{_name(error)} breaks the rule {keyword} {error.validator_value}.", "hint": "Change it."}
    _refuse(error, error.schema.get("x-refusal", {}).get(keyword, general), faults)


def _refuse(error: ValidationError, refusal: Mapping[str, str], faults: Faults) -> None:
    faults.add(_path(error), refusal["message"], refusal["hint"], refusal.get("code", "C101"))


def _required_names(alternatives: list[Any]) -> Iterator[str]:
    for alternative in alternatives:
        yield from alternative.get("required", ())


def _path(error: ValidationError) -> Path:
    return tuple(error.absolute_path)


def _name(error: ValidationError) -> str:
    names = [step for step in error.absolute_path if isinstance(step, str)]
    return names[-1] if names else "the file"


def _kind_of(value: Any) -> str:
    kinds = {dict: "a map", list: "a list", str: "text", bool: "true or false", type(None): "empty"}
    return kinds.get(type(value), "a number")


_ADDERS: Mapping[str, Callable[[ValidationError, Faults], None]] = {
    "additionalProperties": _add_unknown_keys,
    "required": _add_missing,
    "oneOf": _add_alternatives,
    "anyOf": _add_alternatives,
    "type": _add_type,
    "enum": _add_choice,
    "const": _add_choice,
}
