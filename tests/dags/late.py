"""Modules that are imported when they are first used.

Every worker process of a parallel run collects all tests, and only one of them runs those that need Airflow: the
others are spared its import, 6 to 9 s of CPU in all.
"""

from __future__ import annotations

import importlib
from typing import Any


class Late:
    """Stands for a module until a public attribute of it is asked for."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        # pytest looks for marks of its own on everything that a test module holds.
        if name.startswith("_") or name in ("pytestmark", "setUpClass"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__dict__["_module"]), name)
