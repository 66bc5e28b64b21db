"""A whole run whose data and results lie in Swift, signed in at Keystone v3."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from storeservers import Bucket
from swiftcloud.cloud import PASSWORD
from yard import Yard

pytestmark = pytest.mark.xdist_group("stack")

PROGRAM = """
import hashlib, os, pathlib
data, result = pathlib.Path(os.environ["DATA_DIR"]), pathlib.Path(os.environ["RESULT_DIR"])
files = sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())
print("trained on", *files, flush=True)
(result / "model").mkdir()
for name in files:
    digest = hashlib.md5((data / name).read_bytes()).hexdigest()
    (result / "model" / f"{pathlib.Path(name).stem}.ünï.txt").write_text(digest)
"""
LARGE = bytes(range(256)) * 1000


def manifest(bucket: Bucket, **changes: str) -> str:
    ref = bucket.ref
    connection = {
        "auth_url": ref.endpoint,
        "user_name": bucket.credentials.user,
        "password": bucket.credentials.secret,
        "domain_name": ref.domain,
        "region": ref.region,
        "project_id": ref.project,
        **changes,
    }
    store = {"type": "bluemix_objectstore", "connection": connection}
    return json.dumps(
        {
            "model_definition": {
                "framework": {"name": "scikit-learn", "version": "1.9"},
                "name": "on-swift",
                "execution": {"command": "python3 train.py", "resource": "small"},
            },
            "training_data_reference": {**store, "source": {"bucket": ref.bucket}},
            "training_results_reference": {**store, "target": {"bucket": ref.bucket}},
        }
    )


@pytest.fixture
def filled(swift: Bucket, swift_hands: Any) -> Bucket:
    """A bucket with a plain object, a large one in segments, and the marker of a folder."""
    store = replace(swift, options={"TRAINYARD_SWIFT_SEGMENT_BYTES": "100000"}).open()
    store.put("digits/large.bin", io.BytesIO(LARGE), len(LARGE))
    store.put("digits/small.csv", io.BytesIO(b"1,2"), 3)
    swift_hands.put_object(swift.ref.bucket, "digits", b"", content_type="application/directory")
    return swift


def test_a_training_on_swift_comes_back_as_a_trained_model(yard: Yard, filled: Bucket) -> None:
    model_id = yard.submit("fails-with-3", change=lambda _: manifest(filled), program=PROGRAM)
    run = yard.finished(model_id)
    assert (run["state"], run["outcome"]["code"]) == ("completed", None), run
    assert "trained on digits/large.bin digits/small.csv" in yard.trainyard("logs", model_id).stdout
    store = filled.open()
    stored = {entry.key.removeprefix(f"{model_id}/"): entry for entry in store.list(f"{model_id}/")}
    assert {"model/large.ünï.txt", "model/small.ünï.txt", "learner-1/training-log.txt"} <= stored.keys()
    into = io.BytesIO()
    store.get(f"{model_id}/model/large.ünï.txt", into)
    assert into.getvalue().decode() == hashlib.md5(LARGE).hexdigest()
    reported = PASSWORD.rpartition('"')[2].encode()
    files = (path for path in yard.folder.rglob("*") if path.is_file() and "submissions" not in path.parts)
    assert [path for path in files if reported in path.read_bytes()] == []


def test_a_wrong_password_and_a_wrong_region_fail_the_run_before_anything_is_staged(yard: Yard, filled: Bucket) -> None:
    wrongs = {"refused the credentials": {"password": "mistyped"}, "for region atlantis": {"region": "atlantis"}}
    runs = {
        reported: yard.submit("fails-with-3", change=lambda _, wrong=wrong: manifest(filled, **wrong), program=PROGRAM)  # type: ignore[misc]
        for reported, wrong in wrongs.items()
    }
    for reported, model_id in runs.items():
        outcome = yard.finished(model_id)["outcome"]
        assert outcome["code"] == "C103"
        assert reported in outcome["message"]
        assert outcome["gpu_seconds"] == 0
        assert "mistyped" not in json.dumps(outcome)
