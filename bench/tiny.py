"""A training whose program does nothing but last: what is measured then is everything around it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from bench.stacks import object_store
from trainyard.local.demo import EXAMPLE, prepare, put_data
from trainyard.local.stack import Stack

_MANIFEST = EXAMPLE.parent / "fails-with-3" / "manifest.yml"


@dataclass(frozen=True)
class Tiny:
    """A manifest and a zip to submit; `command` is what its pod runs."""

    manifest: bytes
    zip: Path
    command: str


def tiny(stack: Stack, seconds: float) -> Tiny:
    """Make a training of so many seconds on the data of the demo, and put that data into the stack's bucket."""
    return of_program(stack, f"lasts-{seconds:g}", f"import time\n\ntime.sleep({seconds})\n")


def of_program(stack: Stack, name: str, program: str, learners: int = 0) -> Tiny:
    """Make a training of a program on that data; with `learners`, as many with a GPU each."""
    put_data(stack.folder / "objects")
    example = stack.folder / "bench" / name
    (example / "model").mkdir(parents=True, exist_ok=True)
    (example / "model" / "train.py").write_text(program)
    text = _MANIFEST.read_text().replace("fails-with-3", example.name)
    if learners:
        each = f"learners: {{count: {learners}, gpus: 1, cpus: 0.2, memory: 256MiB}}"
        text = text.replace("resource: small", each)
    (example / "manifest.yml").write_text(text)
    manifest, packed = prepare(example, stack.folder / "bench", *object_store(stack))
    assert zipfile.is_zipfile(packed)
    return Tiny(manifest.read_bytes(), packed, "python3 train.py")
