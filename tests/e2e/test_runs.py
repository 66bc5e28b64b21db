"""Whole runs: from the command line through Airflow and the cluster to the bucket."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from runprograms import LEFT_BEHIND, UNTIL_LET_END
from yard import Yard

from trainyard.core.catalogue import Catalogue
from trainyard.local.demo import RESULTS_BUCKET
from trainyard.workspace.layout import store_key

pytestmark = pytest.mark.xdist_group("stack")

ENVIRONMENT = """
import json, os, pathlib, sys
names = "MODEL_DIR TRAINING_ID TRAINING_COMMAND GPU_COUNT LEARNER_ID NUM_LEARNERS"
seen = {name: os.environ[name] for name in names.split()}
seen |= {"cwd": os.getcwd(), "data": sorted(os.listdir(os.environ["DATA_DIR"])), "path": sys.path}
seen["gpus"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
try:
    pathlib.Path(os.environ["DATA_DIR"], "x").write_text("x")
    seen["data written"] = True
except OSError:
    seen["data written"] = False
pathlib.Path(os.environ["RESULT_DIR"], "model").mkdir()
pathlib.Path(os.environ["RESULT_DIR"], "model", "seen.json").write_text(json.dumps(seen))
pathlib.Path(os.environ["CHECKPOINT_DIR"], "epoch-1").write_text("weights")
"""


@pytest.fixture(scope="module")
def digits(yard: Yard) -> str:
    manifest, model = yard.files("digits")
    model_id: str = yard.data("train", str(model), str(manifest))["model_id"]
    return model_id


@pytest.fixture(scope="module")
def failing(yard: Yard) -> str:
    return yard.submit("fails-with-3")


@pytest.fixture(scope="module")
def greedy(yard: Yard) -> str:
    return yard.submit("runs-out-of-memory")


@pytest.fixture(scope="module")
def curious(yard: Yard) -> str:
    return yard.submit("fails-with-3", program=ENVIRONMENT)


@pytest.fixture(scope="module", autouse=True)
def _all_at_once(digits: str, failing: str, greedy: str, curious: str) -> None:
    """Submit them all before any is waited for: four at a time is what the account may do."""


def test_the_example_comes_back_as_a_trained_model(yard: Yard, digits: str) -> None:
    run = yard.finished(digits)
    assert (run["state"], run["outcome"]["code"], run["outcome"]["exit_code"]) == ("completed", None, 0)
    stored = yard.results(digits)
    assert stored["model/digits.joblib"] > 0
    assert json.loads(yard.stored(digits, "model/accuracy.json"))["test_accuracy"] >= 0.95
    assert {"learner-1/training-log.txt", "learner-1/load-data.log", "_submitted_code/model.zip"} <= set(stored)


def test_the_log_is_the_programs_output(yard: Yard, digits: str) -> None:
    yard.finished(digits)
    shown = yard.trainyard("logs", digits).stdout
    assert re.search(r"^test accuracy: 0\.9\d+$", shown, re.MULTILINE)
    assert shown == yard.stored(digits, "learner-1/training-log.txt")


def test_a_program_that_fails_leaves_its_exit_code_its_reason_and_its_log(yard: Yard, failing: str) -> None:
    run = yard.finished(failing)
    assert (run["state"], run["outcome"]["code"], run["outcome"]["fault"]) == ("error", "C201", "client")
    assert run["outcome"]["exit_code"] == 3
    shown = yard.trainyard("show", failing).stdout
    assert "Reason " in shown
    assert "exit code 3" in shown
    assert "Hint " in shown
    assert "giving up" in yard.stored(failing, "learner-1/training-log.txt")


def test_a_failed_run_stays_in_the_list_and_is_failed_in_airflow_after_one_try(yard: Yard, failing: str) -> None:
    yard.finished(failing)
    assert re.search(rf"fails-with-3 +{failing} +error", yard.trainyard("list").stdout)
    run = yard.airflow(f"/api/v2/dags/{failing}/dagRuns/{failing}").json()
    assert run["state"] == "failed"
    steps = yard.airflow(f"/api/v2/dags/{failing}/dagRuns/{failing}/taskInstances").json()["task_instances"]
    assert {step["task_id"]: (step["state"], step["try_number"]) for step in steps} == {
        "validate": ("success", 1),
        "stage": ("success", 1),
        "train": ("failed", 1),
        "upload": ("success", 1),
        "cleanup": ("success", 1),
    }


def test_running_out_of_memory_is_told_as_such_with_the_limit(yard: Yard, greedy: str) -> None:
    outcome = yard.finished(greedy)["outcome"]
    assert (outcome["code"], outcome["exit_code"]) == ("C202", 137)
    assert "memory" in outcome["message"]
    assert "300Mi" in outcome["message"]


def test_a_program_sees_the_documented_environment_and_cannot_change_its_data(yard: Yard, curious: str) -> None:
    assert yard.finished(curious)["state"] == "completed"
    seen = json.loads(yard.stored(curious, "model/seen.json"))
    assert seen["TRAINING_ID"] == curious
    assert seen["TRAINING_COMMAND"] == "python3 train.py --epochs 3"
    assert (seen["GPU_COUNT"], seen["LEARNER_ID"], seen["NUM_LEARNERS"]) == ("1", "1", "1")
    assert len(seen["gpus"].split(",")) == 1
    assert seen["cwd"] == seen["MODEL_DIR"]
    assert seen["MODEL_DIR"] in seen["path"]
    assert "t10k-images-idx3-ubyte.gz" in seen["data"]
    assert seen["data written"] is False
    assert "_wml_checkpoints/epoch-1" in yard.results(curious)
    assert list(yard.bucket().list("_wml_checkpoints/")) == []
    assert "RESUME_FROM" not in seen


def test_a_run_leaves_neither_pod_nor_model_folder_nor_slot_behind(yard: Yard, digits: str, failing: str) -> None:
    for model_id in (digits, failing):
        yard.finished(model_id)
        assert not [pod for pod in yard.pods() if model_id.lower() in pod]
        left = {path.name for path in (yard.folder / "workspace" / "runs" / model_id / model_id).iterdir()}
        assert left <= LEFT_BEHIND


def test_the_training_shows_in_airflow_by_name_tags_manifest_and_steps(yard: Yard, digits: str) -> None:
    details = yard.airflow(f"/api/v2/dags/{digits}/details").json()
    assert details["dag_display_name"] == "digits"
    tags = {tag["name"] for tag in details["tags"]}
    assert {"framework:scikit-learn 1.9", "account:default"} <= tags
    assert any(tag.startswith("author:Trainyard") for tag in tags)
    assert "bucket: digits-training-data" in details["doc_md"]
    tasks = yard.airflow(f"/api/v2/dags/{digits}/tasks").json()["tasks"]
    assert {task["task_id"] for task in tasks} == {"validate", "stage", "train", "upload", "cleanup"}


def test_a_missing_bucket_fails_the_run_before_a_gpu_is_taken_and_says_so(yard: Yard) -> None:
    def elsewhere(text: str) -> str:
        return text.replace("digits-training-data", "no-such-bucket")

    model_id = yard.submit("digits", change=elsewhere)
    outcome = yard.finished(model_id)["outcome"]
    assert outcome["code"] == "C103"
    assert "no-such-bucket" in outcome["message"]
    assert outcome["gpu_seconds"] == 0
    assert "no-such-bucket" in yard.trainyard("logs", model_id).stdout
    assert "no-such-bucket" in yard.stored(model_id, "learner-1/training-log.txt")


def test_results_that_cannot_be_stored_fail_the_run_and_are_kept(yard: Yard) -> None:
    bucket = yard.folder / "objects" / "short-lived-results"
    bucket.mkdir()

    def elsewhere(text: str) -> str:
        return text.replace(RESULTS_BUCKET, bucket.name)

    model_id = yard.submit("fails-with-3", change=elsewhere, program=UNTIL_LET_END)
    yard.until(model_id, lambda run: run["phase"] == "training")
    shutil.rmtree(bucket)
    yard.let_end(model_id)
    run = yard.finished(model_id)
    assert run["state"] == "error"
    assert bucket.name in run["outcome"]["message"]
    assert (
        yard.folder / "workspace" / "runs" / model_id / model_id / "result" / "so-far.txt"
    ).read_text() == "half a model"


def test_two_runs_on_one_bucket_download_it_once(yard: Yard, digits: str, failing: str) -> None:
    yard.finished(digits)
    yard.finished(failing)
    records = map(Catalogue(yard.folder / "catalogue").get, (digits, failing))
    (key,) = {store_key(record.spec.data) for record in records if record}
    assert len(list((yard.folder / "workspace" / "datasets" / key).glob("*/t10k-images-idx3-ubyte.gz"))) == 1
