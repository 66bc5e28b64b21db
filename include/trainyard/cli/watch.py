"""`trainyard list --watch`: the runs drawn again and again on a terminal, their changes line by line elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from trainyard.cli.output import Screen, escaped, one_line
from trainyard.cli.tables import watch_rows
from trainyard.client.waiting import patient

_PAUSE_SECONDS = 1.0
# The other screen of the terminal, without a cursor and without wrapped lines; and back again.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

Run = Mapping[str, Any]
Look = Callable[[], Sequence[Run]]


def watch_table(look: Look, screen: Screen) -> None:
    """Draw the newest runs that fit until Ctrl-C, which leaves the terminal as it was."""
    looking = patient(look)
    with _other_screen():
        runs: Sequence[Run] = looking() or ()
        while True:
            _draw(runs, screen)
            time.sleep(_PAUSE_SECONDS)
            runs = _newer(looking(), runs)


def watch_changes(look: Look, screen: Screen) -> None:
    """Print each run when it is first seen and whenever its state or phase changes, as text or as a line of JSON."""
    known: dict[str, tuple[str, str]] = {}
    looking = patient(look)
    while True:
        for run in looking() or ():
            now = (str(run.get("state")), str(run.get("phase")))
            if known.get(run["model_id"]) != now:
                known[run["model_id"]] = now
                _report(run, screen)
        time.sleep(_PAUSE_SECONDS)


def _newer(found: Sequence[Run] | None, before: Sequence[Run]) -> Sequence[Run]:
    return before if found is None else found


@contextmanager
def _other_screen() -> Iterator[None]:
    try:
        sys.stdout.write(_ENTER)
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def _draw(runs: Sequence[Run], screen: Screen) -> None:
    height = shutil.get_terminal_size().lines
    header, *rows = watch_rows(runs, screen.state)
    room = max(height - 3, 1)
    hidden = max(len(rows) - room, 0)
    reported = f"{len(runs)} runs at {datetime.now(UTC):%H:%M:%S} UTC"
    lines = [header, *rows[hidden:], f"{reported}, the oldest {hidden} not shown" if hidden else reported]
    sys.stdout.write(_HOME + "".join(f"{line}{_REST_OF_LINE}\n" for line in lines) + _BELOW)
    sys.stdout.flush()


def _report(run: Run, screen: Screen) -> None:
    if screen.json:
        sys.stdout.write(escaped(json.dumps(run, ensure_ascii=False)) + "\n")
    else:
        when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        words = (when, *(one_line(run.get(key)) for key in ("model_id", "state", "phase", "name")))
        sys.stdout.write("  ".join(words).rstrip() + "\n")
    sys.stdout.flush()
