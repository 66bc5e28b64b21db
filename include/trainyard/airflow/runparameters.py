"""The parameters of a run: the form that triggers it, and the pool slots of the size that it was triggered with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from trainyard.airflow.app import current_app
from trainyard.core.catalogue import Training
from trainyard.domain.hyperparameters import COMMAND, MAX_TEXT_LENGTH, SIZE, Value
from trainyard.domain.limits import Size
from trainyard.domain.names import RunKey, is_model_id
from trainyard.domain.overrides import MAX_COMMAND_LENGTH
from trainyard.domain.plan import amounts
from trainyard.quantity import cpu_text, memory_text

_TRAIN = "train"
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


def follow_size(task_instance: Any, dag_run: Any) -> None:
    """Set pool and slots of a train task by its run's own size.

    Airflow calls this in the scheduler whenever it makes or clears a task instance, in a transaction that must not be
    disturbed: what is needed is read from the DAG's form and the run's start, and what is not as expected leaves the
    task as it is.
    """
    conf = getattr(dag_run, "conf", None)
    if task_instance.task_id != _TRAIN or not isinstance(conf, dict) or not is_model_id(task_instance.dag_id):
        return
    given = _given(RunKey(task_instance.dag_id, dag_run.run_id), conf)
    form = task_instance.task.dag.params
    found = pool_of(form.get_param(SIZE).schema, given.get(SIZE)) if SIZE in form else None
    if found:
        task_instance.pool, task_instance.pool_slots = found


def _given(run: RunKey, conf: dict[str, Any]) -> Mapping[str, Any]:
    try:
        return current_app().catalogue.values_of(run, conf)
    except OSError:
        # A run that the service started has them in its conf too.
        return conf


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
        values_display={name: _reported(size) for name, size in training.sizes.items()}
        | ({} if own else {"null": "as in the manifest"}),
        **pools,
    )


def _reported(size: Size) -> str:
    return f"{size.name}: {size.gpus} GPU, {cpu_text(size.cpu_millis)} CPU, {memory_text(size.memory)}"


def _command(own: str) -> Param:
    return Param(
        own,
        title="Command",
        description="Run by a shell in the unpacked zip; ${name} is the value of a hyperparameter.",
        type="string",
        format="multiline",
        pattern=r"\S",
        maxLength=MAX_COMMAND_LENGTH,
    )


def _hyperparameter(name: str, own: Value) -> Param:
    kind = _TYPES[type(own)]
    limits: dict[str, Any] = {
        "string": {"maxLength": MAX_TEXT_LENGTH},
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
