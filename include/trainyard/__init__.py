"""Submit a manifest and a zip, get back a trained model: deep-learning training on Airflow and Kubernetes.

The Python API is `from trainyard import Client, Run, TrainyardError`; see docs/python.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainyard.client.client import Client
    from trainyard.client.errors import UnreachableError, WrongUsageError
    from trainyard.client.experiment import Experiment
    from trainyard.client.run import Run
    from trainyard.errors import TrainyardError

__all__ = ["Client", "Experiment", "Run", "TrainyardError", "UnreachableError", "WrongUsageError"]

# Imported when they are asked for: every process of the service imports this package.
_PLACES = {
    "Client": "trainyard.client.client",
    "Experiment": "trainyard.client.experiment",
    "Run": "trainyard.client.run",
    "TrainyardError": "trainyard.errors",
    "UnreachableError": "trainyard.client.errors",
    "WrongUsageError": "trainyard.client.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
