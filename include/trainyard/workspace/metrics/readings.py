"""One reading at a time of a run's metrics, from what the last one kept, and kept for the next."""

from __future__ import annotations

from contextlib import suppress

from trainyard.domain.metricrules import MetricRules
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.locks import locked, locked_if_free
from trainyard.workspace.metrics.reader import Reading
from trainyard.workspace.metrics.state import MetricsState, load, save

# A run's results wait for its metrics no longer than this.
MAX_WHOLE_SECONDS = 600.0


def read_on(run: RunFolder, rules: MetricRules, seconds: float) -> None:
    """Read what a program has written since, for so many seconds; nothing where another process does so right now."""
    if not run.root.is_dir():
        return
    with locked_if_free(run.metrics_lock) as held:
        if held:
            _read(run, rules, seconds, whole=False)


def read_whole(run: RunFolder, rules: MetricRules, seconds: float = MAX_WHOLE_SECONDS) -> MetricsState:
    """Read all that a program has left, or what the seconds suffice for, and return it."""
    with locked(run.metrics_lock):
        return _read(run, rules, seconds, whole=True)


def _read(run: RunFolder, rules: MetricRules, seconds: float, whole: bool) -> MetricsState:
    state = load(run) or MetricsState()
    reading, was = Reading(run, rules, state, seconds, whole), state.complete
    reading.read()
    if whole and reading.spent:
        state.warn(f"not all was read: there is more than {seconds:g} seconds suffice for")
    # One that has more to tell was started again.
    state.complete = whole or (was and not reading.moved)
    if reading.moved or was != state.complete:
        with suppress(OSError):  # a full volume is reported by whoever needs it
            save(run, state)
    return state
