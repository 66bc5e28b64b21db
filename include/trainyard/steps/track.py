"""Report to a tracking server a run that has ended; nothing of the run depends on whether that works."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.plan import Plan
from trainyard.domain.tracked import Tracked
from trainyard.domain.training import TrainingSpec
from trainyard.stores.moving.progress import Report
from trainyard.tracking.mlflow import PAUSES, send
from trainyard.tracking.record import record_of
from trainyard.tracking.server import Server, TrackingError
from trainyard.workspace.layout import RunFolder, Workspace
from trainyard.workspace.metrics.curves import Curve
from trainyard.workspace.metrics.stored import from_file

# For so long a server that failed is tried once and shortly: a burst of runs would wait for it one after the other.
AWAY_SECONDS, HASTY_SECONDS = 300.0, 5.0


def track(
    connection: str,
    open_server: Callable[[], Server],
    key: RunKey,
    spec: TrainingSpec,
    plan: Plan,
    outcome: Outcome,
    about: Mapping[str, str],
    workspace: Workspace,
    report: Report,
    seconds: float,
    clock: Callable[[], float] = time.time,
    pauses: Sequence[float] = PAUSES,
) -> Tracked:
    """Send parameters, tags and metrics of a run; it can be repeated. Return where the run is there, or why not.

    It takes `seconds` at most, and whatever goes wrong is reported in the answer and the log alone.
    """
    away, now = workspace.tracker_away(connection), clock()
    lately = _changed(away) > now - AWAY_SECONDS
    try:
        record = record_of(key, spec, plan, outcome, _curves(workspace.run(key), report), about, now)
        within, waits = (min(seconds, HASTY_SECONDS), ()) if lately else (seconds, pauses)
        place = send(open_server(), record, within, waits)
    except TrackingError as error:
        if error.again:
            _touch(away, now)
        return _failed(connection, str(error), report)
    except Exception as error:  # noqa: BLE001 - nothing of it may be the run's
        return _failed(connection, f"sending it failed with {type(error).__name__}", report)
    with suppress(OSError):
        away.unlink(missing_ok=True)
    report(f"MLflow ({connection}) has the run as {place.run_id}, with {len(record.metrics)} points of its metrics")
    return Tracked(connection, place.experiment_id, place.run_id)


def _failed(connection: str, reason: str, report: Report) -> Tracked:
    warning = f"MLflow ({connection}) does not have the run: {reason}"
    report(warning)
    return Tracked(connection, warning=warning)


def _curves(run: RunFolder, report: Report) -> list[Curve]:
    try:
        with run.metrics_stored.open("rb") as file:
            return list(from_file(file).curves.by_key.values())
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        report("the metrics cannot be read, and are not sent to MLflow")
        return []


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _touch(path: Path, now: float) -> None:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now, now))
