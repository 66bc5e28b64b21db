"""Inputs of which each breaks one promise, to see that a campaign finds it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fuzz.verdicts import ACCEPTED, Kind, Verdict

_HOARD = 80 * 1024**2


def _misdeed(run: Callable[[], Any]) -> Kind:
    return Kind(lambda _: b"", lambda _: run(), lambda _data, _found: Verdict(ACCEPTED), "")


def _spin() -> None:
    while True:
        pass


def _fail() -> None:
    raise RuntimeError("broken")


SPINNING = _misdeed(_spin)
FAILING = _misdeed(_fail)
HOARDING = _misdeed(lambda: len(b"x" * _HOARD))
DYING = _misdeed(lambda: os._exit(3))
GOOD = _misdeed(lambda: None)
