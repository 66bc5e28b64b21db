"""The tour in the docs, its commands run one after the other as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.environment import PROJECT
from trainyard.local.ownstores import keep_local_stores
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

TUTORIAL = PROJECT / "docs" / "tutorial.md"


def commands() -> list[str]:
    """Return what stands behind each `$`, with the lines that go on behind a `>`."""
    blocks = re.findall(r"^```console\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    found = re.findall(r"^\$ (.*\n(?:> ?.*\n)*)", "".join(blocks), re.MULTILINE)
    return [re.sub(r"^> ?", "", text, flags=re.MULTILINE) for text in found]


@pytest.fixture(scope="module")
def said(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command has printed, in a shell whose folder is the one that the stack's login is found from."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "trainyard").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trainyard.cli.main "$@"\n')
    (programs / "trainyard").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")}
    environment = {**kept, "PATH": f"{programs}:{os.environ['PATH']}"}
    keep_local_stores(yard.folder, yard.endpoint)  # as `trainyard up` does
    place, printed = yard.folder.parent, dict[str, str]()
    for command in commands():
        if command.startswith("cd "):
            place /= command.removeprefix("cd ").strip()
            continue
        if command.startswith("trainyard best"):
            assert wait_for(lambda: _search_is_over(yard), RUN_LIMIT_SECONDS)
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        printed[command.strip()] = done.stdout
    return printed


def _search_is_over(yard: Yard) -> bool:
    return yard.service.search("lines").state == "over"


def test_the_first_run_learns_the_line_and_has_a_curve(said: dict[str, str]) -> None:
    assert "completed" in said["trainyard show @last"]
    assert "loss" in said["trainyard metrics @last"]
    assert json.loads(said["cat ../first-model/model.json"])["slope"] > 1


def test_a_run_on_own_data_learns_what_is_in_them_and_differs_by_them(said: dict[str, str]) -> None:
    assert "mine/mine.csv" in said["trainyard data ls data-default/mine"]
    learned = json.loads(said["cat ../own-model/model.json"])
    assert (round(learned["slope"], 1), round(learned["offset"], 1)) == (-3.0, 5.0)
    differences = said["trainyard diff @last~1 @last"]
    assert re.search(r"epochs: 40 -> 400", differences), differences
    assert "prefix" in differences


def test_each_value_is_a_row_with_its_loss(said: dict[str, str]) -> None:
    rows = said["trainyard list --experiment slopes --columns name,id,state,lr,loss"]
    assert len(re.findall(r"completed +0\.0[12] +[0-9.e-]+", rows)) == 2


def test_the_best_of_the_search_is_found_and_run_again_for_longer(
    yard: Yard,
    said: dict[str, str],
) -> None:
    best = said["trainyard best lines"].strip()
    assert best in said["trainyard show lines@best"]
    again = said["trainyard rerun lines@best --set epochs=400 --follow"]
    model_id = re.search(r"training-\w{9}(?=')", again.partition("Model-ID")[2])
    assert model_id
    run = yard.run(model_id[0])
    assert (run["parent"], run["overrides"]["epochs"], run["state"]) == (best, 400, "completed")
    assert Path(yard.folder.parent / "best-model" / "model.json").exists()


def test_the_nightly_training_has_a_schedule_until_it_is_ended(said: dict[str, str]) -> None:
    assert "Europe/Berlin" in said["trainyard schedules"]
