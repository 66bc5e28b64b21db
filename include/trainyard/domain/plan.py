"""Spec + limits -> plan: everything that is decided before anything is done, printable and comparable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainyard.domain.limits import Account, Limits, Size, connection_fault
from trainyard.domain.names import CPU_POOL, account_pool
from trainyard.domain.ownstores import is_own_store, shown_connection, store_connection
from trainyard.domain.training import Framework, Resources, TrainingSpec
from trainyard.domain.variables import Holder
from trainyard.errors import Problem, TrainyardError

CUSTOM = "custom"
# What a run gets whose manifest leaves FfDL's amounts out; those of the size small.
DEFAULT_CPU_MILLIS = 1000
DEFAULT_MEMORY = 4 * 1024**3
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@-]*", re.ASCII)


@dataclass(frozen=True)
class Plan:
    """How a training is run: image, amounts, pool and deadline. `memory` is in bytes."""

    account: str
    image: str
    interpreter: str
    gpus: int
    cpu_millis: int
    memory: int
    pool: str
    pool_slots: int
    deadline_seconds: int
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "tolerations": tuple(known.get("tolerations", ()))})


def make_plan(spec: TrainingSpec, account: Account, limits: Limits, owner: str | None = None) -> Plan:
    """Decide how the training runs for this account; refuse with every problem at once.

    `owner` is who started the run, None at the door, where the manifest's names stand for what its submitter has.

    Raise TrainyardError C101 (framework) or C104 (resources, connections): what can never run is refused at the door.
    """
    problems = plan_problems(spec.framework, spec.resources, account, limits)
    if problems := [*problems, *connection_problems(spec, account, owner)]:
        raise TrainyardError.refused(problems)
    size = _size(spec.resources, limits)
    known = limits.framework(spec.framework.name, spec.framework.version)
    return Plan(
        account=account.name,
        image=known.image if known else spec.framework.version,
        interpreter=known.interpreter if known else "python3",
        deadline_seconds=int(account.max_hours * 3600),
        **amounts(account.name, size),
    )


def plan_problems(
    framework: Framework | None, resources: Resources | None, account: Account, limits: Limits
) -> list[Problem]:
    """Return why this can never run for this account; None stands for what could not be read."""
    found = _framework_problems(framework, account, limits) if framework else []
    return [*found, *_resource_problems(resources, account, limits)] if resources else found


def connection_problems(spec: TrainingSpec, account: Account, owner: str | None = None) -> list[Problem]:
    """Return which of the connections that a training names its account or its owner may not use, or not any more."""
    found = [
        Problem(*fault, f"{side}.connection", seen=shown_connection(ref.connection), code="C104")
        for side, ref in (("data", spec.data), ("results", spec.results))
        if ref.connection and (fault := _fault_of(ref.connection, account, owner))
    ]
    if spec.mlflow and (fault := connection_fault(spec.mlflow, account.trackers, tracking=True)):
        found.append(Problem(*fault, "tracking.mlflow", seen=spec.mlflow, code="C104"))
    return found


def _fault_of(connection: str, account: Account, owner: str | None) -> tuple[str, str] | None:
    if not is_own_store(connection):
        return connection_fault(connection, account.connections)
    holders = [Holder.account(account.name), *([Holder.user(owner)] if owner else [])]
    theirs = any(connection.startswith(store_connection(holder, "")) for holder in holders)
    return None if theirs or owner is None else ("the store is another one's.", "Name a store of your own.")


def amounts(account: str, size: Size) -> dict[str, Any]:
    """Return the fields of a plan that a size decides."""
    return {
        "gpus": size.gpus,
        "cpu_millis": size.cpu_millis,
        "memory": size.memory,
        "pool": account_pool(account) if size.gpus else CPU_POOL,
        "pool_slots": max(size.gpus, 1),
        "node_selector": size.node_selector,
        "tolerations": size.tolerations,
    }


def sizes_for(account: Account, limits: Limits) -> dict[str, Size]:
    """Return the sizes by name that fit into what an account owns."""
    return {name: size for name, size in limits.sizes.items() if size.gpus <= account.gpus}


def _framework_problems(framework: Framework, account: Account, limits: Limits) -> list[Problem]:
    name, version = framework.name, framework.version
    if name.lower() == CUSTOM:
        if account.custom_images:
            return [] if _IMAGE.fullmatch(version) else [_no_image(version)]
        hint = f"Use one of {', '.join(limits.framework_names())}, or an account with custom_images."
        return [Problem(f"account {account.name} may not bring its own image.", hint, "framework.name", seen=name)]
    if limits.framework(name, version):
        return []
    if versions := limits.versions_of(name):
        hint = f"Use one of {', '.join(versions)}."
        return [Problem(f"{name} has no version {version}.", hint, "framework.version", seen=version)]
    hint = f"Use one of {', '.join(limits.framework_names())}."
    return [Problem(f"there is no framework {name}.", hint, "framework.name", seen=name)]


def _no_image(version: str) -> Problem:
    hint = "Write it as name:tag or name@digest."
    return Problem("the image of a custom framework has no such name.", hint, "framework.version", seen=version)


def _resource_problems(wanted: Resources, account: Account, limits: Limits) -> list[Problem]:
    def problem(message: str, hint: str, path: str, seen: object) -> Problem:
        return Problem(message, hint, path, seen=str(seen), code="C104")

    if wanted.size is not None and wanted.size not in limits.sizes:
        hint = f"Use one of {', '.join(limits.sizes)}."
        return [problem(f"there is no size {wanted.size}.", hint, "resources.size", wanted.size)]
    found = []
    if wanted.nodes > 1:
        hint = "Ask for one machine with more GPUs."
        found.append(problem("a run has one machine.", hint, "resources.nodes", wanted.nodes))
    gpus = _size(wanted, limits).gpus
    if gpus > account.gpus:
        hint = f"Use a size that fits ({', '.join(sizes_for(account, limits))}) or another account."
        message = f"{gpus} GPUs are asked for and account {account.name} owns {account.gpus}."
        found.append(problem(message, hint, "resources", wanted.size or gpus))
    return found


def _size(wanted: Resources, limits: Limits) -> Size:
    if wanted.size is not None:
        return limits.sizes[wanted.size]
    selector = limits.gpu_nodes.get((wanted.gpu_type or "").lower(), {})
    cpu_millis, memory = wanted.cpu_millis or DEFAULT_CPU_MILLIS, wanted.memory or DEFAULT_MEMORY
    return Size("explicit", wanted.gpus or 0, cpu_millis, memory, selector)
