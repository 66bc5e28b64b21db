"""The manifest that a run has really trained with: what it was triggered with stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from trainyard.domain.hyperparameters import COMMAND, SIZE
from trainyard.errors import TrainyardError
from trainyard.manifest.document import Path, read_document
from trainyard.manifest.family import family_of
from trainyard.manifest.layout import Layout, ffdl_layout, wml_layout


def effective_manifest(masked: str, overrides: Mapping[str, Any]) -> str:
    """Return a masked manifest with the overrides in the place of its own values; as it is where there are none."""
    if not overrides:
        return masked
    given = "".join(f"# {name}: {value!r}\n" for name, value in overrides.items())
    try:
        document = read_document(masked.encode(), len(masked.encode()) + 1)
        layout = ffdl_layout(document) if family_of(document) == "ffdl" else wml_layout(document)
        data = yaml.safe_load(masked)
        for name, value in overrides.items():
            _set(data, _place(layout, name), value)
        text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    except (TrainyardError, yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError):
        # Some texts are read by the service's own reader alone: masks stand where YAML has signs of its own.
        return f"# The run was triggered with\n{given}{masked}"
    return f"# As it was run, triggered with\n{given}{text}"


def _place(layout: Layout, name: str) -> Path:
    if name == COMMAND:
        return layout.command
    if name == SIZE:
        return layout.size or ("size",)
    if layout.hyperparameters is None:
        raise LookupError(name)
    return (*layout.hyperparameters, name)


def _set(data: Any, place: Path, value: Any) -> None:
    for step in place[:-1]:
        data = data.setdefault(step, {}) if isinstance(data, dict) else data[step]
    data[place[-1]] = value
