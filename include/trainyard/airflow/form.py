"""The form that triggers a run: size, command and hyperparameters, each typed, the manifest's values as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from trainyard.core.catalogue import Training
from trainyard.domain.hyperparameters import COMMAND, LONGEST_TEXT, SIZE, Value
from trainyard.domain.limits import Size
from trainyard.domain.overrides import LONGEST_COMMAND
from trainyard.domain.plan import amounts
from trainyard.quantity import cpu_text, memory_text

# Where the pool and the slots of each size stand in the schema of the field `size`; JSON Schema passes it over.
POOLS = "pools"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
# Larger is infinity, which JSON cannot write.
_LARGEST = 1.7976931348623157e308


def form_of(training: Training) -> dict[str, Param]:
    """Return the fields by name. None of them is a template; a field without a value means the manifest's."""
    fields = {COMMAND: _command(training.spec.command)}
    if training.sizes:
        fields = {SIZE: _size(training), **fields}
    return fields | {name: _hyperparameter(name, value) for name, value in training.spec.hyperparameters.items()}


def pool_of(schema: Mapping[str, Any], size: object) -> tuple[str, int] | None:
    """Return pool and slots of a size from the schema of the field `size`; None for one that is not there."""
    found = schema.get(POOLS, {}).get(size) if isinstance(size, str) else None
    return (found[0], found[1]) if found else None


def _size(training: Training) -> Param:
    own = training.spec.resources.size
    names = [*([own] if own not in training.sizes else []), *training.sizes]
    plans = {name: amounts(training.account, size) for name, size in training.sizes.items()}
    pools: dict[str, Any] = {POOLS: {name: [plan["pool"], plan["pool_slots"]] for name, plan in plans.items()}}
    return Param(
        own,
        title="Size",
        description="How much machine; GPUs count against the account's quota.",
        type=["null", "string"] if own is None else "string",
        enum=names,
        values_display={name: _told(size) for name, size in training.sizes.items()}
        | ({} if own else {"null": "as in the manifest"}),
        **pools,
    )


def _told(size: Size) -> str:
    return f"{size.name}: {size.gpus} GPU, {cpu_text(size.cpu_millis)} CPU, {memory_text(size.memory)}"


def _command(own: str) -> Param:
    return Param(
        own,
        title="Command",
        description="Run by a shell in the unpacked zip; ${name} is the value of a hyperparameter.",
        type="string",
        format="multiline",
        pattern=r"\S",
        maxLength=LONGEST_COMMAND,
    )


def _hyperparameter(name: str, own: Value) -> Param:
    kind = _TYPES[type(own)]
    limits: dict[str, Any] = {
        "string": {"maxLength": LONGEST_TEXT},
        "number": {"minimum": -_LARGEST, "maximum": _LARGEST},
    }
    return Param(
        own,
        title=name,
        description="Hyperparameter",
        section="Hyperparameters",
        # The page takes an emptied field for none at all, and insists on one that may not be none.
        type=["null", kind] if own == "" and kind == "string" else kind,
        **limits.get(kind, {}),
    )
