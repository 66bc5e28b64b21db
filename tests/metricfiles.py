"""A run's folder with metrics in it, and readings of it."""

from __future__ import annotations

import json
from pathlib import Path

from trainyard.domain.metricrules import MetricRules
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.metrics.reader import Reading
from trainyard.workspace.metrics.state import MetricsState, load, save


class Program:
    """Writes metrics where a training program would, and reads them as the service does."""

    def __init__(self, root: Path, rules: MetricRules | None = None):
        self.run, self.rules = RunFolder(root), rules or MetricRules()
        for folder in (*self.run.folders, self.run.training_log.parent):
            folder.mkdir(parents=True)

    def write(self, name, text, mode="ab"):
        path = self.run.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode) as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def log(self, *rows, name="logs/metrics.jsonl"):
        return self.write(name, "".join(f"{json.dumps(row)}\n" for row in rows))

    def read(self, whole=False, seconds=60.0, **options) -> MetricsState:
        """Read on from what was kept, as another process would."""
        state = load(self.run) or MetricsState()
        reading = Reading(self.run, self.rules, state, seconds, whole, **options)
        reading.read()
        save(self.run, state)
        return state


def curve(state, name, source=None):
    found = [one for one in state.curves.by_key.values() if one.name == name and source in (None, one.source)]
    assert len(found) == 1, sorted(state.curves.by_key)
    return found[0]


def values(state, name, source=None):
    """Return the step and value of a curve's points."""
    return [(row.step, row.value) for row in curve(state, name, source).rows()]
