"""Look at a run that trains as its watchdogs do, and keep what they have said; programs reach none of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from pathlib import Path

from trainyard.domain.metricrules import MetricRules
from trainyard.domain.watchdogs import Alarm, Gpus, Sight, Then, Watch, alarms
from trainyard.workspace.layout import RunFolder, started_at
from trainyard.workspace.metrics.readings import read_on
from trainyard.workspace.metrics.state import load

_READ_SECONDS = 0.25
_MAX_KEPT = 20
# Written by the wrapper in the pod, as learner.sh has them.
GPU_NOTES = ("gpus-watched", "gpus-seen", "gpus-busy")


def look(run: RunFolder, watch: Watch, rules: MetricRules, clock: Callable[[], float] = time.time) -> list[Alarm]:
    """Return the alarms that are new, each kind of them once in a run's life, and keep them."""
    started, known = started_at(run), kept(run)
    if started is None:
        return []
    said = {alarm.kind for alarm in known}
    fresh = [alarm for alarm in alarms(watch, _sight(run, watch, rules, started, clock())) if alarm.kind not in said]
    if fresh:
        with suppress(OSError):  # a full volume stops no watchdog
            run.alarms.write_text(json.dumps([alarm.as_dict() for alarm in (*known, *fresh)][:_MAX_KEPT]))
    return fresh


def kept(run: RunFolder) -> list[Alarm]:
    """Return what the watchdogs of a run have said so far."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return [Alarm(row["kind"], Then(row["then"]), row["reason"]) for row in json.loads(run.alarms.read_text())]
    return []


def _sight(run: RunFolder, watch: Watch, rules: MetricRules, started: float, now: float) -> Sight:
    state = None
    if watch.reads_metrics:
        with suppress(OSError):
            read_on(run, rules, _READ_SECONDS)
        state = load(run)
    curves = list(state.curves.by_key.values()) if state else []
    values = dict[str, tuple[float, float]]()
    for curve in curves:
        last, extremes = curve.last, curve.extremes()
        if last and extremes and isfinite(last.value):
            values.setdefault(curve.name, (last.value, extremes[0].value))
    broken = tuple(sorted({curve.name for curve in curves if curve.not_finite}))
    written = max(_changed(run.of_learner(number).training_log) for number in run.learners)
    heard = max(written, _changed(run.metrics))
    return Sight(now, started, heard, broken, values, _gpus(run) if watch.gpu_idle else Gpus())


def _gpus(run: RunFolder) -> Gpus:
    """Return what all learners' wrappers have noted of their GPUs; the files' times count, not what is in them."""
    states = [run.of_learner(number).state for number in run.learners]
    watched, seen, busy = (max(_changed(state / name) for state in states) for name in GPU_NOTES)
    return Gpus(watched, seen, busy)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
