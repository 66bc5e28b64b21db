"""A process that makes and judges inputs one at a time, and says what each took.

It reads lines `<module>:<kind> <seed> <number>` and answers each with a line of JSON; who started it watches the clock.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from fuzz.verdicts import Kind, Verdict, random_of

# Far above what an input may take, far below what would hurt the machine.
_MAX_ADDRESSES = 8 * 1024**3
_RESET_PEAK = "5"


def kind_of(name: str) -> Kind:
    """Return a kind by its place, such as `fuzz.judging_manifests:MANIFESTS`."""
    module, _, attribute = name.partition(":")
    kind: Kind = getattr(import_module(module), attribute)
    return kind


def verdict_on(kind: Kind, data: bytes) -> dict[str, Any]:
    """Judge one input; whatever else is raised is a crash, told by its last lines."""
    _forget_peak()
    began = time.process_time()
    seconds, peak = 0.0, 0
    try:
        found = kind.run(data)
        seconds, peak = time.process_time() - began, _peak()
        verdict = kind.judge(data, found)
    except Exception:  # noqa: BLE001 - finding these is the purpose
        verdict = Verdict("crashed", traceback.format_exc(limit=-4))
    return {"end": verdict.end, "detail": verdict.detail, "seconds": seconds, "memory": peak}


def _forget_peak() -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK)


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_ADDRESSES, _MAX_ADDRESSES))
    # What is judged may print; answers have a way of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    answers.write("ready\n")
    for line in sys.stdin:
        name, seed, number = line.split()
        kind = kind_of(name)
        data = kind.make(random_of(seed, int(number)))
        answers.write("made\n")
        answers.write(json.dumps(verdict_on(kind, data)) + "\n")


if __name__ == "__main__":
    _main()
