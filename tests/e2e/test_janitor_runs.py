"""The janitor in the running service: a pod that no run owns goes, that of a run that trains stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runprograms import LONG
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.cluster.labels import MODEL_ID, TRAINING_ID
from trainyard.domain.names import RunKey, pod_name
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

_NOBODYS = RunKey.first_of("training-nobodys00")


def test_the_janitor_takes_a_pod_that_no_run_owns_and_leaves_those_that_train(yard: Yard, tmp_path: Path) -> None:
    model_id = yard.submit("fails-with-3", program=LONG)
    yard.until(model_id, lambda run: run["phase"] == "training")
    trains = pod_name(RunKey.first_of(model_id), 1)
    orphaned = _twin_of(yard, trains, tmp_path)
    removed = {"name": f"pod {orphaned}", "reason": "Airflow knows no such run"}
    # At once it may be younger than the grace, of which creation times know whole seconds only.
    assert wait_for(lambda: removed in yard.janitor_pass()["removed"], RUN_LIMIT_SECONDS)
    assert wait_for(lambda: f"pod/{orphaned}" not in yard.pods(), 120)
    assert f"pod/{trains}" in yard.pods()
    yard.trainyard("cancel", model_id)
    assert yard.finished(model_id)["state"] == "canceled"


def _twin_of(yard: Yard, name: str, folder: Path) -> str:
    """Make another pod like this one, of a run that Airflow does not know; return its name."""
    pod = json.loads(yard.kubectl("get", "pod", name, "-o", "json"))
    twin = pod_name(_NOBODYS, 1)
    ids = {TRAINING_ID: _NOBODYS.training_id, MODEL_ID: _NOBODYS.model_id}
    pod["metadata"] = {"name": twin, "labels": {**pod["metadata"]["labels"], **ids}}
    del pod["status"], pod["spec"]["nodeName"]
    (folder / "pod.json").write_text(json.dumps(pod))
    yard.kubectl("create", "-f", str(folder / "pod.json"))
    assert wait_for(lambda: f"pod/{twin}" in yard.pods(), 120)
    return twin
