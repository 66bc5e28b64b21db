"""A service in memory behind the front door, and a client of that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
from memorystore import MemoryStore
from samples import LIMITS, MODEL_ID, training

from trainyard.core.runs import Run
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase

SHOWN_RUN = Run(
    model_id=MODEL_ID,
    training_id=MODEL_ID,
    name="tf-mnist",
    account="vision",
    framework="tensorflow 2.16",
    gpus=1,
    phase=Phase.TRAINING,
    submitted_at=1_700_000_000.9,
    running_at=1_700_000_060.0,
)
FILES = {"manifest": ("job.yaml", b"name: x"), "zip": ("model.zip", b"PK")}
CANCEL_PATCH = [{"op": "replace", "path": "/status/state", "value": "canceled"}]


class FakeService:
    """Notes what it is asked for and answers with one run; raises its `refusal` if it has one."""

    def __init__(self):
        self.asked = []
        self.run_there = SHOWN_RUN
        self.refusal = None
        self.experiments = []
        self.wanted = None
        self.store = MemoryStore()
        self.registration = self

    def _note(self, *asked):
        self.asked.append(asked)
        if self.refusal:
            raise self.refusal

    def submit_all(self, manifests, zip_path, account, caller, experiment, grid, *origin):
        self._note("submit", *(text for _, text in manifests), zip_path.read_bytes(), account, caller)
        self.experiments.append((experiment, dict(grid.values), [name for name, _ in manifests]))
        ids = [MODEL_ID, "training-Xz81mQ0aB"][: len(manifests)]
        return [training(training_id, warnings=("line 3: odd",)) for training_id in ids]

    def connections(self, run):
        return None

    def origin(self, run):
        return {"image": "tensorflow:2.16", "data_version": "v1", "zip_sha256": "ab12"}

    def runs(self, caller, limit, offset, wanted):
        self._note("runs", caller, limit, offset)
        self.wanted = wanted
        return [self.run_there], 41

    def waiting(self, run):
        return "waiting for 2 GPUs" if run.phase is Phase.WAITING_FOR_GPU else run.waiting

    def alarms(self, run):
        return []

    def transfer(self, run):
        moved = {"doing": "downloading", "files": 3, "files_total": 9, "bytes": 30, "bytes_total": 90, "listed": True}
        return {**moved, "rate": 10.0, "seconds_left": 6.0, "at": 1.7e9} if run.phase is Phase.STAGING else None

    def stored(self, model_id, caller):
        self._note("stored", model_id, caller)
        return self.store

    def results(self, model_id, caller, name=""):
        return self.stored(model_id, caller)

    def run_of_log(self, model_id, caller):
        return self.run(model_id, caller)

    def run(self, model_id, caller, deleted=False):
        self._note("run", model_id, caller)
        return self.run_there

    def cancel(self, model_id, caller):
        self._note("cancel", model_id, caller)
        return replace(SHOWN_RUN, phase=Phase.DONE, outcome=Outcome("C204", "canceled by ada"))

    def delete(self, model_id, caller, now=False):
        self._note("delete", model_id, caller)
        return None if now else 1_700_000_000.0

    def undelete(self, model_id, caller):
        self._note("undelete", model_id, caller)
        return replace(SHOWN_RUN, phase=Phase.DONE, outcome=Outcome())

    def limits(self):
        return LIMITS


class Http:
    """Asks the app as a client over HTTP would, without a port; `raises` what the app raises, not as servers do."""

    def __init__(self, app, headers=None, raises=True):
        self.app = app
        self.headers = headers or {}
        self._raises = raises

    def ask(self, verb, path, **options):
        headers = {**self.headers, **options.pop("headers", {})}

        async def once():
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=self._raises)
            async with httpx.AsyncClient(transport=transport, base_url="http://front.door") as client:
                return await client.request(verb, path, headers=headers, **options)

        return asyncio.run(once())

    def __getattr__(self, verb):
        if verb not in ("get", "head", "post", "put", "patch", "delete", "options"):
            raise AttributeError(verb)
        return lambda path, **options: self.ask(verb.upper(), path, **options)
