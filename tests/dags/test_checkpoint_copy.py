"""A checkpoint that is copied while its program runs, by a process of its own that learns its store through stdin."""

from __future__ import annotations

import asyncio
import json

import pytest
from late import Late
from samples import MODEL_ID, RUN, training

from trainyard.core.catalogue import Catalogue
from trainyard.domain.checkpointing import Checkpointing
from trainyard.domain.training import StoreRef
from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

copying = Late("trainyard.airflow.checkpointcopy")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that trains, with a folder as its results bucket and the connection of that in Airflow."""
    for name, value in (("WORKSPACE", "workspace"), ("CATALOGUE", "catalogue"), ("FOLDER_STORES", "")):
        monkeypatch.setenv(f"TRAINYARD_{name}", str(tmp_path / value))
    connection = {"conn_type": "generic", "password": json.dumps({"user": "a", "secret": "b"})}
    monkeypatch.setenv(f"AIRFLOW_CONN_{MODEL_ID.upper()}.RESULTS", json.dumps(connection))
    bucket = tmp_path / "results"
    bucket.mkdir()
    results = StoreRef("folder", "results", tmp_path.as_uri())
    Catalogue(tmp_path / "catalogue").add(training(results=results, checkpoint=Checkpointing(every_seconds=60, keep=2)))
    run = Workspace(tmp_path / "workspace").run(RUN)
    run.checkpoints.mkdir(parents=True)
    assert copying.copy_in_process  # Airflow is loaded here, and refuses its database as in the process of a trigger
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    return run, bucket / MODEL_ID


def test_the_newest_complete_one_lies_in_the_bucket_with_its_name(run):
    folder, bucket = run
    (folder.checkpoints / "step-1").write_text("weights")
    (folder.checkpoints / "step-1.done").touch()
    (folder.checkpoints / "step-2.tmp").write_text("half")
    assert asyncio.run(copying.copy_in_process(RUN)) == "Checkpoint step-1 is in the bucket."
    assert (bucket / "_wml_checkpoints" / "step-1").read_text() == "weights"
    assert json.loads((bucket / "learner-1" / "resume.json").read_text()) == {"checkpoint": "step-1"}
    assert not (bucket / "_wml_checkpoints" / "step-2.tmp").exists()


def test_a_store_that_is_away_is_told_and_nothing_else_happens(run):
    folder, bucket = run
    bucket.parent.rmdir()
    (folder.checkpoints / "step-1").write_text("weights")
    (folder.checkpoints / "step-1.done").touch()
    assert asyncio.run(copying.copy_in_process(RUN)).startswith("The newest checkpoint is not in the bucket: ")
