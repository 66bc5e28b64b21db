"""`trainyard init`: what it writes is a submission without a fault, and a program that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from trainyard.client.checking import check
from trainyard.client.packing import packed

pytest_plugins = ["cli_front_door"]


@pytest.mark.parametrize("framework", ["scikit-learn", "pytorch", "tensorflow"])
def test_what_it_writes_is_a_submission_without_a_fault(cli, home, framework):
    done = cli("init", "first", "--framework", framework)
    assert (done.code, done.err) == (0, "")
    manifest = home / "first" / "manifest.yml"
    with packed(home / "first", [manifest]) as found:
        checked = check(manifest.read_bytes(), found.zip, None)
    assert (checked.spec.framework.name, checked.spec.name) == (framework, "first")
    assert checked.spec.data.connection == checked.spec.results.connection == "local"
    compile((home / "first" / "train.py").read_text(), "train.py", "exec")


def test_its_program_learns_what_the_data_has(cli, home):
    cli("init", "first")
    (home / "points.csv").write_text("x,y\n" + "".join(f"{x / 10},{x / 5 + 1}\n" for x in range(20)))
    folders = dict.fromkeys(("DATA_DIR", "RESULT_DIR", "LOG_DIR"), str(home))
    environment = {**folders, "epochs": "400", "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, home / "first" / "train.py"], env=environment, capture_output=True, check=True)
    losses = [json.loads(line)["loss"] for line in (home / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.01 < losses[0]
    assert json.loads((home / "model.json").read_text())["slope"] == pytest.approx(2, abs=0.2)


def test_nothing_that_is_there_is_written_over(cli, home):
    (home / "train.py").write_text("mine")
    done = cli("init")
    assert done.code == 2
    assert (home / "train.py").read_text() == "mine"
    assert not (home / "manifest.yml").exists()


def test_a_framework_that_there_is_not_is_wrong_usage(cli, home):
    done = cli("init", "first", "--framework", "torchflow")
    assert done.code == 2
    assert not (home / "first").exists()
