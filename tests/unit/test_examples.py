"""The examples: their manifests are accepted once filled in, their programs do what their READMEs say."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from readmanifest import read_manifest

from trainyard.cluster.environment import learner_text
from trainyard.domain.plan import Plan, make_plan
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.manifest.limits import load_limits

pytestmark = pytest.mark.xdist_group("examples")  # one worker makes what its tests share

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("digits", "fails-with-3", "learners", "runs-out-of-memory")
MIB = 1024**2


def filled(name: str) -> bytes:
    text = (EXAMPLES / name / "manifest.yml").read_text()
    for blank, value in (
        ("<auth-url>", "http://127.0.0.1:9000"),
        ("<username>", "an-id"),
        ("<password>", "a-secret"),
    ):
        assert blank in text
        text = text.replace(blank, value)
    return text.encode()


def spec_of(name: str) -> TrainingSpec:
    return read_manifest(filled(name), load_limits()).submission.spec


def plan_of(name: str) -> Plan:
    limits = load_limits()
    return make_plan(spec_of(name), next(iter(limits.accounts.values())), limits)


def run(name: str, root: Path, data: Path, memory: int | None = None) -> tuple[int, str]:
    """Run an example's own command under the wrapper, as its pod would; return the exit code and the log."""
    folders = {name: root / name for name in ("result", "logs", "state")}
    for folder in folders.values():
        folder.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "DATA_DIR": str(data),
        "MODEL_DIR": str(EXAMPLES / name / "model"),
        "RESULT_DIR": str(folders["result"]),
        "LOG_DIR": str(folders["logs"]),
        "JOB_STATE_DIR": str(folders["state"]),
        "LEARNER_ID": "1",
        "SUBID": "learner-1",
        "TRAINING_ID": "training-DOl4q2LkR",
        "TRAINING_COMMAND": spec_of(name).command,
        "TERMINATION_LOG": str(root / "termination-log"),
    }
    done = subprocess.run(
        ["sh", "-c", learner_text(), "learner"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        timeout=240,
        check=False,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory))) if memory else None,
    )
    return done.returncode, (folders["logs"] / "learner-1" / "training-log.txt").read_text()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    subprocess.run(
        [sys.executable, EXAMPLES / "digits" / "make_data.py", folder], check=True, stdout=subprocess.DEVNULL
    )
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_filled_manifest_is_accepted_without_a_warning(name: str) -> None:
    assert read_manifest(filled(name), load_limits()).submission.warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_unfilled_manifest_is_refused_for_its_blanks(name: str) -> None:
    with pytest.raises(TrainyardError) as caught:
        read_manifest((EXAMPLES / name / "manifest.yml").read_bytes(), load_limits())
    seen = str([problem.seen for problem in caught.value.problems]) + str(caught.value.problems)
    assert all(blank in seen for blank in ("<auth-url>", "<username>"))


@pytest.mark.parametrize("name", NAMES)
def test_every_example_trains_and_stores_in_the_same_two_buckets(name: str) -> None:
    spec = spec_of(name)
    assert (spec.data.bucket, spec.results.bucket) == ("digits-training-data", "digits-training-results")


@pytest.mark.parametrize("name", NAMES)
def test_every_example_says_how_to_run_it(name: str) -> None:
    text = (EXAMPLES / name / "README.md").read_text()
    assert "trainyard train" in text
    assert (EXAMPLES / name / "model" / "train.py").exists()


def test_the_sizes_are_those_the_readmes_speak_of() -> None:
    assert plan_of("digits").gpus == plan_of("fails-with-3").gpus == 1
    assert (plan_of("runs-out-of-memory").gpus, plan_of("runs-out-of-memory").memory) == (0, 300 * MIB)


def test_the_data_are_four_idx_files(data: Path) -> None:
    heads = {path.name: gzip.decompress(path.read_bytes())[:8].hex() for path in data.iterdir()}
    assert heads == {
        "train-images-idx3-ubyte.gz": "000008030000059d",
        "train-labels-idx1-ubyte.gz": "000008010000059d",
        "t10k-images-idx3-ubyte.gz": "0000080300000168",
        "t10k-labels-idx1-ubyte.gz": "0000080100000168",
    }


def test_digits_reaches_its_accuracy_and_keeps_a_model_and_metrics(data: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    code, log = run("digits", tmp_path, data)
    assert code == 0, log
    kept = json.loads((tmp_path / "result" / "model" / "accuracy.json").read_text())
    assert kept["test_accuracy"] >= 0.95
    assert f"test accuracy: {kept['test_accuracy']:.4f}" in log
    assert (tmp_path / "result" / "model" / "digits.joblib").stat().st_size > 1000
    metrics = (tmp_path / "logs" / "learner-1" / "evaluation-metrics.txt").read_text().splitlines()
    last = json.loads(metrics[-1])
    assert len(metrics) == log.count("epoch ")
    assert last["meta"] == {
        **last["meta"],
        "training_id": "training-DOl4q2LkR",
        "subid": "learner-1",
        "rindex": len(metrics),
    }
    assert last["values"]["accuracy"] == {"type": "FLOAT", "value": kept["test_accuracy"]}
    assert time.monotonic() - begun < 60


def test_fails_with_3_keeps_what_it_had_and_ends_with_3(data: Path, tmp_path: Path) -> None:
    code, log = run("fails-with-3", tmp_path, data)
    assert code == 3
    assert log.splitlines()[0].startswith("training with t10k-images-idx3-ubyte.gz")
    assert log.splitlines()[-1] == "epoch 3: the loss is not a number, giving up"
    assert (tmp_path / "result" / "model" / "half-trained.txt").exists()


def test_runs_out_of_memory_takes_more_until_something_ends_it(data: Path, tmp_path: Path) -> None:
    code, log = run("runs-out-of-memory", tmp_path, data, memory=300 * MIB)
    assert code != 0
    assert "holding 200 MiB in 10 batches" in log
    assert "MemoryError" in log
    assert "no limit" not in log
