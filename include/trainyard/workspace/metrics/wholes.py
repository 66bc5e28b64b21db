"""Metrics in files that a program writes again each time: val_dict_list.json, Hugging Face's trainer_state.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainyard.workspace.metrics.curves import Seen, named, number
from trainyard.workspace.metrics.lines import MAX_VALUES

VAL_DICTS, TRAINER_STATE = "val-dict-list", "trainer-state"
# The file is in memory, its entries are not: they are decoded one by one.
MAX_BYTES = 4 * 1024 * 1024
_STEPS = ("steps", "step", "global_step", "iteration")
_HISTORY = re.compile(r'"log_history"\s*:\s*\[')
_BLANKS = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Whole:
    """The entries of a file, and what it says of the program's progress."""

    entries: Iterator[Mapping[str, Any]]
    step: float | None = None
    total: float | None = None


def read(kind: str, text: str) -> Whole:
    """Read a file of the kind; raise ValueError where it is torn, also once its entries come there."""
    return val_dicts(text) if kind == VAL_DICTS else trainer_state(text)


def val_dicts(text: str) -> Whole:
    """Read `[{"steps": 1, "accuracy": 0.6}, …]`; raise ValueError where that is torn, once it comes there."""
    start = text.find("[")
    if start < 0:
        raise ValueError("no list")
    return Whole(_entries(text, start + 1))


def trainer_state(text: str) -> Whole:
    """Read the history that Hugging Face's Trainer keeps; raise ValueError where that is torn, once it comes there."""
    found = _HISTORY.search(text)
    if not found:
        raise ValueError("no log_history")
    return Whole(_entries(text, found.end()), _field(text, "global_step"), _field(text, "max_steps"))


def points(entry: Mapping[str, Any]) -> list[Seen]:
    """Return the values of an entry; a step counts as the step of all of them."""
    step = next((found for name in _STEPS if (found := number(entry.get(name))) is not None), None)
    values = ((key, value) for key, value in list(entry.items())[:MAX_VALUES] if key not in _STEPS)
    numbers = ((key, number(value)) for key, value in values if not isinstance(value, bool))
    return [Seen(named(key), step, None, value) for key, value in numbers if value is not None]


def _entries(text: str, place: int) -> Iterator[Mapping[str, Any]]:
    while True:
        match = _BLANKS.match(text, place)
        place = match.end() if match else place
        if text[place : place + 1] == "]":
            return
        try:
            entry, place = _DECODER.raw_decode(text, place)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if isinstance(entry, dict):
            yield entry


def _field(text: str, name: str) -> float | None:
    found = re.search(rf'"{name}"\s*:\s*(\d{{1,15}})\b', text)
    return float(found[1]) if found else None
