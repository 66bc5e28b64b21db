"""Read `env` and `secrets`: variables that everybody may see, and the names of those that nobody may."""

from __future__ import annotations

from collections.abc import Collection

from trainyard.domain.hyperparameters import is_text
from trainyard.domain.launching import fault_of_name_among_learners
from trainyard.domain.variables import fault_of_secret, fault_of_variable
from trainyard.manifest.document import Path
from trainyard.manifest.masking import is_credential
from trainyard.manifest.values import Values

ENV: Path = ("env",)
SECRETS: Path = ("secrets",)


def check_names_among_learners(values: Values) -> None:
    """Report hyperparameters, variables and secrets whose names are set for each of several learners."""
    for path in filter(None, (values.layout.hyperparameters, ENV, SECRETS)):
        given = values.document.value(path)
        if not isinstance(given, dict | list):
            continue
        for place, name in enumerate(given) if isinstance(given, list) else zip(given, given, strict=True):
            if fault := fault_of_name_among_learners(str(name)):
                values.faults.add((*path, place), *fault, at_key=isinstance(given, dict))


def read_env(values: Values, taken: Collection[str]) -> dict[str, str]:
    """Return the variables as they are written; a name without a value counts as not given.

    `taken` are names that the manifest uses otherwise.
    """
    given = values.document.value(ENV)
    if not isinstance(given, dict):
        return {}
    found: dict[str, str] = {}
    for name, value in given.items():
        place = (*ENV, name)
        if value is None or isinstance(value, dict | list) or place in values.faults:
            continue
        text = values.document.text(place) or ""
        if fault := fault_of_variable(name) or _taken(name, taken):
            values.faults.add(place, *fault, at_key=True)
        elif not is_text(text):
            values.faults.add(place, "no variable can have this value.", "Leave out what is no text.", at_key=True)
        elif is_credential(name) and isinstance(value, str):
            keep = f"`trainyard secret set {name[:60]}`"
            sentence = f"everybody who may see the run sees the value of {name[:60]}; keep a secret with {keep}"
            values.warn(place, f"{sentence} and name it below secrets")
        found[name] = text
    return found


def read_secrets(values: Values, taken: Collection[str]) -> tuple[str, ...]:
    """Return the names of the secrets that the program is given, each once."""
    given = values.document.value(SECRETS)
    if not isinstance(given, list):
        return ()
    found: dict[str, None] = {}
    for index, name in enumerate(given):
        place = (*SECRETS, index)
        if not isinstance(name, str) or place in values.faults:
            continue
        if fault := fault_of_secret(name) or _taken(name, taken):
            values.faults.add(place, *fault)
        found[name] = None
    return tuple(found)


def _taken(name: str, taken: Collection[str]) -> tuple[str, str] | None:
    return (f"{name} is given twice in this manifest.", "Keep one of them.") if name in taken else None
