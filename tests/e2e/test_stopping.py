"""Cancel and delete, and a stack that is started twice."""

from __future__ import annotations

import pytest
from runprograms import LEFT_BEHIND, LONG
from yard import Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("stack")

TIDY = """
import os, pathlib, signal, sys, time

def stop(*_):
    pathlib.Path(os.environ["RESULT_DIR"], "checkpoint.txt").write_text("as far as it got")
    print("stopping", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
print("training", flush=True)
time.sleep(600)
"""
RESUMES = """
import os, pathlib, sys, time

begun = pathlib.Path(os.environ["RESULT_DIR"], "begun")
if begun.exists():
    sys.exit(print("again"))
begun.touch()
print("training", flush=True)
time.sleep(600)
"""
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{LONG}"
MANY_RESULTS = """
import os, pathlib
for number in range(6000):
    pathlib.Path(os.environ["RESULT_DIR"], f"{number}.txt").write_text("x")
"""


def _training(yard: Yard, program: str) -> str:
    """Submit a program and wait until it says that it trains."""
    model_id = yard.submit("fails-with-3", program=program)
    assert wait_for(lambda: "training\n" in yard.log(model_id), 120)
    return model_id


def _canceled(yard: Yard, model_id: str) -> float:
    """Check that a run ends as canceled and leaves nothing in the way; return the GPU seconds that it used."""
    run = yard.finished(model_id)
    assert (run["state"], run["outcome"]["code"]) == ("canceled", "C204")
    assert "admin" in run["outcome"]["message"]
    assert "canceled by admin" in yard.stored(model_id, "learner-1/outcome.txt")
    assert not [pod for pod in yard.pods() if model_id.lower() in pod]
    folder = yard.folder / "workspace" / "runs" / model_id / model_id
    # A step that was told to stop may outlast the run by a moment.
    assert wait_for(lambda: {path.name for path in folder.iterdir()} <= LEFT_BEHIND, 120)
    return float(run["outcome"]["gpu_seconds"])


def test_a_running_training_is_canceled_and_what_it_made_in_its_grace_time_is_stored(yard: Yard) -> None:
    model_id = _training(yard, TIDY)
    yard.trainyard("cancel", model_id)
    assert _canceled(yard, model_id) > 0
    assert yard.stored(model_id, "checkpoint.txt") == "as far as it got"
    assert yard.stored(model_id, "learner-1/training-log.txt") == "training\nstopping\n"


def test_a_program_that_will_not_stop_is_ended_and_what_it_made_until_then_is_stored(yard: Yard) -> None:
    model_id = _training(yard, DEAF)
    yard.trainyard("cancel", model_id)
    _canceled(yard, model_id)
    assert yard.stored(model_id, "so-far.txt") == "half a model"
    assert yard.stored(model_id, "learner-1/training-log.txt").startswith("training\n")


def test_a_run_that_was_just_submitted_can_be_canceled(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", program=LONG)
    yard.trainyard("cancel", model_id)
    assert _canceled(yard, model_id) == 0
    assert "has not run" in yard.stored(model_id, "learner-1/training-log.txt")


def test_a_staging_is_broken_off_and_leaves_no_half_dataset_to_be_seen(yard: Yard) -> None:
    bucket = yard.folder / "objects" / "many-files"
    bucket.mkdir()
    for number in range(15_000):
        (bucket / f"{number}.txt").write_text("x")
    model_id = yard.submit(
        "fails-with-3", program=LONG, change=lambda text: text.replace("digits-training-data", bucket.name)
    )
    run = yard.until(model_id, lambda run: run["transfer"] and run["transfer"]["files"] > 0)
    assert (run["phase"], run["transfer"]["doing"]) == ("staging", "downloading")
    yard.trainyard("cancel", model_id)
    _canceled(yard, model_id)
    datasets = yard.folder / "workspace" / "datasets"
    assert not [path for path in datasets.glob(f"{bucket.name}-*/*") if not path.name.startswith(".")]
    assert not list(datasets.rglob(f"*{model_id}*"))


def test_a_run_whose_results_are_being_stored_is_not_canceled_any_more(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", program=MANY_RESULTS)
    yard.until(model_id, lambda run: run["phase"] == "storing")
    refusal = yard.data("cancel", model_id, fails=True)["error"]
    assert refusal["code"] == "C108"
    assert "being stored" in refusal["message"]
    assert yard.finished(model_id)["state"] == "completed"
    assert len(yard.results(model_id)) > 6000


def test_a_run_that_waits_for_a_gpu_can_be_canceled(yard: Yard) -> None:
    first = yard.submit("fails-with-3", account="free", program=LONG)
    yard.until(first, lambda run: run["phase"] == "training")
    second = yard.submit("fails-with-3", account="free", program=LONG)
    yard.until(second, lambda run: run["phase"] == "waiting-for-gpu")
    for model_id in (second, first):
        yard.trainyard("cancel", model_id)
        _canceled(yard, model_id)
    assert {row["account"]: row["used"] for row in yard.data("quota")["resources"]}["free"] == 0


def test_deleting_a_going_run_wants_a_yes_stops_it_is_undone_and_leaves_the_bucket(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", program=LONG)
    yard.until(model_id, lambda run: run["phase"] == "training")
    refused = yard.trainyard("delete", model_id, fails=True)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    deleted = yard.trainyard("delete", "trained-models", model_id, "--yes")
    assert deleted.stdout.endswith("OK\nDelete trained-models successful\n")
    assert f"`trainyard undelete {model_id}` brings it back until" in deleted.stderr
    assert model_id not in yard.trainyard("list").stdout
    assert yard.results(model_id)["so-far.txt"] > 0
    gone = yard.data("show", model_id, fails=True)["error"]
    assert gone["code"] == "C107"
    assert model_id in yard.trainyard("list", "--deleted").stdout
    assert yard.data("undelete", model_id)["state"] == yard.data("show", model_id)["state"] == "canceled"
    yard.trainyard("delete", model_id)
    yard.trainyard("delete", model_id, "--now")
    assert yard.data("undelete", model_id, fails=True)["error"]["code"] == "C107"
    connections = yard.airflow("/api/v2/connections?limit=1000").json()["connections"]
    assert not [each for each in connections if each["connection_id"].startswith(model_id)]
    assert not (yard.folder / "workspace" / "runs" / model_id).exists()


def test_starting_the_stack_again_leaves_what_runs_alone(yard: Yard) -> None:
    before = yard.stack.status()
    stated: list[str] = []
    yard.up(stated.append)
    assert yard.stack.status() == before
    assert all(" is up" in line for line in stated)


def test_a_training_that_down_interrupts_is_tried_again_when_the_stack_is_up(yard: Yard) -> None:
    model_id = _training(yard, RESUMES)
    yard.stack.down(print)
    yard.up(print)
    run = yard.finished(model_id)
    assert (run["state"], run["outcome"]["code"]) == ("completed", None)
    assert yard.stored(model_id, "learner-1/training-log.txt").endswith("again\n")
    train = yard.airflow(f"/api/v2/dags/{model_id}/dagRuns/{model_id}/taskInstances/train").json()
    assert (train["state"], train["try_number"]) == ("success", 2)
