"""A bucket and a front door in memory that may die before or after any of their deeds."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile

from manifest_samples import masked

from trainyard.answers.runs import Submitted
from trainyard.inbox.passing import submit_all
from trainyard.inbox.submitting import DropSubmitter
from trainyard.stores.base import Entry, StoreError, Why

SECRET = "5b1c0ffee"
MANIFEST = f"model_definition:\n  name: digits\nconnection:\n  aws_secret_access_key: {SECRET}\n".encode()
NOW = 1_700_000_000.0


class Death(BaseException):
    """The process is gone: nothing after it happens."""


class Fate:
    """Counts deeds and dies at one of them, before or after it is done."""

    def __init__(self, at: int = -1, after: bool = False) -> None:
        self.actions, self._at, self._after = 0, at, after

    def action(self, do):
        mine = self.actions
        self.actions += 1
        if mine == self._at and not self._after:
            raise Death
        done = do()
        if mine == self._at:
            raise Death
        return done


class Bucket:
    """A store in memory. Nothing of the inbox may be deleted before it is somewhere else."""

    place = "bucket memory"

    def __init__(self, known_md5: bool = True) -> None:
        self.objects: dict[str, bytes] = {}
        self.fate = Fate()
        self.lies: set[str] = set()
        self._known_md5 = known_md5
        self._lock = threading.RLock()

    def list(self, prefix="", after=""):
        with self._lock:
            found = self.fate.action(
                lambda: sorted(key for key in self.objects if key.startswith(prefix) and (not after or key > after))
            )
            return iter([self._entry(key) for key in found])

    def get(self, key, into):
        with self._lock:
            if key not in self.objects:
                raise StoreError(Why.NO_KEY, f"no {key}", "")
            self.fate.action(lambda: into.write(self.objects[key]))
            return self._entry(key)

    def put(self, key, source, size):
        data = source.read()
        with self._lock:
            self.fate.action(lambda: self.objects.update({key: data[:-1] if key in self.lies else data}))
            return self._entry(key)

    def delete(self, key):
        with self._lock:
            if key in self.objects and key.startswith("inbox/"):
                self._must_be_elsewhere(key)
            self.fate.action(lambda: self.objects.pop(key, None))

    def below(self, prefix):
        return {key.removeprefix(prefix): data for key, data in self.objects.items() if key.startswith(prefix)}

    def drop(self, place="inbox/vision/one", manifest=MANIFEST, archive=None, names=("job.yml", "model.zip")):
        self.objects[f"{place}/{names[0]}"] = manifest
        self.objects[f"{place}/{names[1]}"] = packed() if archive is None else archive

    def _must_be_elsewhere(self, key):
        name = key.rpartition("/")[2]
        others = [data for other, data in self.objects.items() if not other.startswith("inbox/") and name in other]
        assert any(data == self.objects[key] or b"'****'" in data for data in others), f"{key} is nowhere else"

    def _entry(self, key):
        digest = hashlib.md5(self.objects[key]).hexdigest()
        return Entry(key, len(self.objects[key]), digest, digest if self._known_md5 else None)


class Door:
    """Registers every key once; refuses or fails as it is told."""

    def __init__(self) -> None:
        self.trainings: dict[str, tuple[str, bytes, bytes]] = {}
        self.fate = Fate()
        self.failure: Exception | None = None
        self._lock = threading.Lock()

    def submit(self, account, manifest, archive, key):
        with self._lock:
            if self.failure:
                raise self.failure
            seen = (account, manifest.read_bytes(), archive.read_bytes())
            self.fate.action(lambda: self.trainings.setdefault(key, seen))
            return Submitted(model_id=f"training-{list(self.trainings).index(key):09}", manifest=masked(seen[1]))


def run_pass(bucket, door, now=NOW, patience=86_400.0, settle=lambda: None):
    """One pass of a fresh process."""
    return submit_all(DropSubmitter(bucket, door, patience, lambda: now), settle, threads=1)


def packed(text="print()"):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("train.py"), text)
    return data.getvalue()
