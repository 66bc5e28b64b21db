"""A secret is found nowhere but in the encrypted connection and in the keys of the machine's own object store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from yard import Yard

from trainyard.local.inbox import BUCKET

pytestmark = pytest.mark.xdist_group("stack")

# The object store's own key pair is the planted one: the stack keeps it in the first. The others are what a person
# wrote it into: a filled-in manifest, and a drop that was refused and is kept untouched for its owner.
OWN = ("secrets.json", "submissions/", f"objects/{BUCKET}/inbox/", f"objects/{BUCKET}/refused/")


def _files(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if not path.relative_to(folder).as_posix().startswith(OWN)]


def test_a_planted_secret_is_found_nowhere(yard: Yard) -> None:
    for example in ("digits", "fails-with-3", "runs-out-of-memory"):
        yard.finished(yard.submit(example))
    secret = yard.secrets.secret_key.encode()
    assert [path for path in _files(yard.folder) if secret in path.read_bytes()] == []
    assert _of_processes(secret) <= {yard.stack.status()["object store"]["pid"]}


def test_a_planted_secret_is_in_no_answer(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3")
    yard.finished(model_id)
    run = f"/api/v2/dags/{model_id}/dagRuns/{model_id}"
    places = [
        f"/api/v2/dags/{model_id}/details",
        f"/api/v2/dagSources/{model_id}",
        run,
        f"{run}/taskInstances",
        f"{run}/taskInstances/train/xcomEntries?limit=100",
        f"{run}/taskInstances/train/logs/1?full_content=true",
        f"/api/v2/connections/{model_id}.data",
        f"/v3/models/{model_id}",
        f"/v3/models/{model_id}/logs",
    ]
    answers = {place: yard.airflow(place).text for place in places}
    assert [place for place, text in answers.items() if yard.secrets.secret_key in text] == []


def _of_processes(secret: bytes) -> set[int]:
    """Return the processes of this machine that carry the secret in their arguments or environment."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                if secret in Path("/proc", pid, name).read_bytes():
                    found.add(int(pid))
            except OSError:
                continue
    return found
