"""Read the hyperparameters of a manifest: names that can be variables, values with the types that YAML gives them."""

from __future__ import annotations

from trainyard.domain.hyperparameters import Value, fault_of_name
from trainyard.manifest.masking import is_credential
from trainyard.manifest.values import Values


def read_hyperparameters(values: Values) -> dict[str, Value]:
    """Return the hyperparameters in the order of the file; a name without a value counts as not given."""
    path, document = values.layout.hyperparameters, values.document
    given = document.value(path) if path else None
    if path is None or not isinstance(given, dict):
        return {}
    found = {name: value for name, value in given.items() if value is not None}
    for name in found:
        place = (*path, name)
        if fault := fault_of_name(name):
            values.faults.add(place, *fault, at_key=True)
        elif isinstance(found[name], str) and is_credential(name):
            values.warn(place, f"everybody who may see the run sees the value of {name[:60]}; it must not be a secret")
    return found
