"""What the first process of every pod takes of a processor, beside the program that it runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from wrapperyard import Learner

from bench.figures import Figure

_TURNS = 20
_SHELLS = ("bash", "dash")


def measure(say: Callable[[str], None]) -> Iterator[Figure]:
    for name in _SHELLS:
        if program := shutil.which(name):
            with tempfile.TemporaryDirectory() as folder:
                learner = Learner(Path(folder, "run"), [program], os.environ["PATH"])
                try:
                    taken = [_milliseconds(learner) for _ in range(_TURNS)]
                finally:
                    learner.stop()
            figure = Figure(f"processor of the wrapper, {name}", taken, "ms", 50)
            say(f"{figure.name}: {figure.percentile(50):.0f} ms")
            yield figure


def _milliseconds(learner: Learner) -> float:
    before = os.times()
    learner.run("true")
    after = os.times()
    return 1000 * (after.children_user + after.children_system - before.children_user - before.children_system)
