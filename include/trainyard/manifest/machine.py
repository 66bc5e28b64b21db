"""Read the machines that a manifest asks for: a size by its name, or amounts, and how many machines of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from trainyard.domain.training import Resources
from trainyard.manifest.document import Path, join_path
from trainyard.manifest.masking import brief
from trainyard.manifest.suggestions import did_you_mean, nearest
from trainyard.manifest.values import Values
from trainyard.quantity import cpu_millis, memory_bytes

# Below this a memory is a number whose unit was forgotten; above, no machine has it.
_MIN_MEMORY, _MAX_MEMORY = 2**20, 2**50
_MAX_CPU_MILLIS = 10_000_000
_COUNT_AND_NAME = re.compile(r"^(\d+)\s*x?\s*([a-z]+\d+)$")
_NAME_AND_COUNT = re.compile(r"([a-z]+\d+)[^a-z0-9]*x?[^a-z0-9]*(\d+)")


def check_machines(values: Values) -> None:
    """Refuse what is said twice of the machines: their number, or what each of them has."""
    for path, other in values.layout.twice:
        message = f"{path[-1]} and {join_path(other)} are both given and mean the same."
        values.faults.add(path, message, "Keep one of them.", at_key=True)


def read_resources(values: Values) -> Resources:
    """Return what is asked for; what cannot be had becomes a fault."""
    layout = values.layout
    nodes = values.integer(layout.nodes) or 1
    if layout.size is not None:
        return Resources(size=_size(values, layout.size), nodes=nodes)
    memory_hint = "Write it with its unit, such as 2GiB."
    return Resources(
        gpus=values.integer(layout.gpus),
        cpu_millis=_amount(values, layout.cpus, cpu_millis, 1, _MAX_CPU_MILLIS, "cpus is a number such as 0.5."),
        memory=_amount(values, layout.memory, memory_bytes, _MIN_MEMORY, _MAX_MEMORY, memory_hint),
        gpu_type=_gpu_type(values),
        nodes=nodes,
    )


def gpus_of(values: Values, resources: Resources) -> int:
    """Return how many GPUs each of the run's machines has."""
    size = values.limits.sizes.get(resources.size or "")
    return size.gpus if size else resources.gpus or 0


def _size(values: Values, path: Path) -> str | None:
    text = values.text(path)
    if text is None:
        return None
    name = values.limits.size_name(text)
    if name is None:
        hint = did_you_mean(_meant_size(values, text), f"Use one of {', '.join(values.limits.sizes)}.")
        values.faults.add(path, f"there is no size {brief(text)}.", hint, "C104")
    return name


def _meant_size(values: Values, text: str) -> str | None:
    """Find the size of a similar name; of names that count GPUs, one with as many."""
    sizes = values.limits.sizes
    plain = _COUNT_AND_NAME.sub(r"\2x\1", text[:60].lower().strip())
    if match := _NAME_AND_COUNT.fullmatch(plain):
        same = [name for name, size in sizes.items() if size.gpus == int(match[2][:4])]
        return next((name for name in same if name.startswith(match[1])), nearest(match[1] + "x" + match[2], same))
    meant = nearest(text, [*sizes, *values.limits.size_aliases])
    return values.limits.size_name(meant) if meant else None


def _amount(
    values: Values, path: Path | None, read: Callable[[str], int], least: int, most: int, hint: str
) -> int | None:
    text = values.text(path)
    if path is None or text is None:
        return None
    value = values.document.value(path)
    try:
        amount = read(text[:60] if isinstance(value, str) else str(value))
    except ValueError:
        amount = 0
    if amount < least:
        values.faults.add(path, f"{brief(text)} cannot be the {path[-1]} of a run.", hint)
    elif amount > most:
        values.faults.add(path, f"no machine has {path[-1]} of {brief(text)}.", "Ask for less.", "C104")
    return amount


def _gpu_type(values: Values) -> str | None:
    path = values.layout.gpu_type
    text = values.text(path)
    if path is None or text is None:
        return text
    known = values.limits.gpu_nodes
    if text.lower() not in known:
        hint = did_you_mean(nearest(text, known), f"Use one of {', '.join(known)}, or remove it.")
        values.faults.add(path, f"there is no gpu_type {brief(text)}.", hint, "C104")
        return None
    if not values.integer(values.layout.gpus):
        values.warn(path, "gpu_type has no effect on a run without GPUs; write gpus: 1, or remove it")
    return text
