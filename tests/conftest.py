"""What all tests share; its presence puts this folder on the path, for `import samples`."""

from __future__ import annotations

import signal
import sys

import pytest
from hypothesis import settings
from swiftcloud.sharing import (
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_sessionfinish,
)

__all__ = ["pytest_collection_finish", "pytest_collection_modifyitems", "pytest_configure", "pytest_sessionfinish"]

# A machine that is busy with other workers is no reason to fail; nothing is kept between runs.
settings.register_profile("trainyard", deadline=None, database=None)
settings.load_profile("trainyard")

# What a shell starts in its background ignores Ctrl-C, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Patch(pytest.MonkeyPatch):
    """pytest's own, but a changed environment is that of another process, whose settings were not read yet."""

    def setenv(self, name, value, prepend=None):
        super().setenv(name, value, prepend)
        _forget_app()

    def delenv(self, name, raising=True):
        super().delenv(name, raising)
        _forget_app()

    def undo(self):
        super().undo()
        _forget_app()


@pytest.fixture
def monkeypatch():
    with Patch.context() as patch:
        yield patch


def _forget_app():
    if module := sys.modules.get("trainyard.airflow.app"):
        module.current_app.cache_clear()
