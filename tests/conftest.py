"""What all tests share; its presence puts this folder on the path, for `import samples`."""

from __future__ import annotations

import signal

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
