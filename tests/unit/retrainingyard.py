"""Schedules over runs in memory."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from samples import LIMITS, MODEL_ID, training

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.retraining import Retraining
from trainyard.core.schedules import Entry, Schedules
from trainyard.domain.schedule import Progress, Schedule

MIDNIGHT = 1_700_006_400.0
ADA, MALLORY, ROOT = Caller("ada"), Caller("mallory"), Caller("root", admin=True)
HOURLY = Schedule(cron="0 * * * *")


class Runs:
    """Scheduled runs in memory; one for each moment, as Airflow has it."""

    def __init__(self):
        self.started = {}
        self.busy = set()
        self.frozen = set()
        self.asked = []
        self.strangers = set()
        self.versions = {}

    def going(self, training_id):
        return training_id in self.busy

    def held(self, training_ids):
        self.asked.append("held")
        return self.frozen & set(training_ids)

    def release(self, training_id):
        self.frozen.discard(training_id)

    def start(self, training_id, due, start=None):
        if training_id in self.strangers:
            return None
        if start:
            return self.started.setdefault((training_id, due), start.model_id)
        return self.started.setdefault((training_id, due), f"run-{len(self.started) + 1}")

    def newest(self, training_ids):
        self.asked.append("newest")
        first = {training_id: training_id for training_id in training_ids}
        return first | {known: run for (known, _), run in self.started.items() if known in first}

    def trained_on(self, training_id):
        return self.versions.get(training_id)


@pytest.fixture
def yard(tmp_path):
    """Retraining over a real catalogue, with a clock to turn and trainings to schedule."""
    there = SimpleNamespace(now=MIDNIGHT + 60, runs=Runs(), catalogue=Catalogue(tmp_path))
    there.schedules = Schedules(tmp_path)
    there.retraining = Retraining(
        there.catalogue, there.schedules, there.runs, lambda: LIMITS, lambda: there.now, late_seconds=600
    )

    def schedule(kind, training_id=MODEL_ID, **changes):
        made = training(training_id, **changes)
        there.schedules.keep(Entry(training_id, kind, Progress(there.now)))
        there.catalogue.add(replace(made, spec=replace(made.spec, schedule=kind)))

    def due():
        return there.retraining.settle(ROOT)

    def seen():
        return there.retraining.one(MODEL_ID, ADA)

    there.schedule, there.due, there.seen = schedule, due, seen
    return there
