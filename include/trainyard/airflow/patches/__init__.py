"""Where the service reaches into private parts of Airflow: a file each, which says what is lost without it.

A patch looks at the shape of what it relies on before it changes anything. Where a new version of Airflow has another
shape, it logs a warning and leaves Airflow as it is: no process fails to start because of a patch.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from typing import Any

log = logging.getLogger(__name__)

# What each process is patched with; the executor chooses its patch itself (executor.py).
PATCHES = {
    "dag-processor": ("staledags",),
    "scheduler": ("fullpools", "waitingruns"),
    "triggerer": ("finalfaults", "promptevents"),
}


class ShapeMismatchError(Exception):
    """A part of Airflow is not as the patch expects; the message says which."""


def apply(process: str) -> None:
    """Apply the patches of one of Airflow's processes; one that does not fit is left out, with a warning."""
    for name in PATCHES.get(process, ()):
        try:
            importlib.import_module(f"{__name__}.{name}").install()
        except Exception as error:  # noqa: BLE001 - whatever Airflow has become, it is to start
            log.warning("Airflow is left as it is: the patch %s does not fit it: %s", name, error)


def expect(owner: Any, name: str, *parameters: str) -> Any:
    """Return a function of Airflow's; raise ShapeMismatchError if it is missing or takes other parameters."""
    found = getattr(owner, name, None)
    if not callable(found):
        raise ShapeMismatchError(f"{owner.__name__}.{name} is not there")
    taken = tuple(inspect.signature(found).parameters)
    if taken[: len(parameters)] != parameters:
        raise ShapeMismatchError(f"{owner.__name__}.{name} takes {taken}, not {parameters}")
    return found
