"""The wrapper's notes of how busy its GPUs are, from a program that stands in for nvidia-smi."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from wrapperyard import Learner

_TOOL = """#!/bin/sh
[ "$*" = "--query-gpu=utilization.gpu --format=csv,noheader,nounits" ] || exit 9
cat "{said}"
"""


@pytest.fixture(params=["bash", "dash", "busybox"])
def learner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Learner]:
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not on this machine")
    shell = [program, "sh"] if request.param == "busybox" else [program]
    made = Learner(tmp_path / "a run", shell, f"{tmp_path}:{os.environ['PATH']}")
    yield made
    made.stop()


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """What nvidia-smi prints."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(_TOOL.format(said=tmp_path / "said"))
    tool.chmod(0o755)
    return tmp_path / "said"


def _notes(learner: Learner) -> list[str]:
    return sorted(path.name for path in learner.state.glob("gpus-*"))


def test_idle_gpus_are_seen_and_a_busy_one_among_them_is_noted(learner: Learner, said: Path) -> None:
    said.write_text("0\n5\n")
    learner.start("until [ -e go ]; do sleep 0.01; done", LEARNER_GPU_SECONDS="0.05")
    learner.until(lambda: "gpus-seen" in _notes(learner))
    assert _notes(learner) == ["gpus-seen", "gpus-watched"]
    said.write_text("0\n6\n")
    learner.until(lambda: "gpus-busy" in _notes(learner))


@pytest.mark.parametrize("text", ["[N/A]\n", "", "No devices were found\n"])
def test_what_does_not_tell_how_busy_it_is_is_not_seen(learner: Learner, said: Path, text: str) -> None:
    said.write_text(text)
    learner.run(
        'until [ -e "$JOB_STATE_DIR/gpus-watched" ]; do sleep 0.01; done; sleep 0.2', LEARNER_GPU_SECONDS="0.05"
    )
    assert _notes(learner) == ["gpus-watched"]


def test_nothing_is_looked_at_where_nobody_asked_for_it(learner: Learner, said: Path) -> None:
    said.write_text("50\n")
    learner.run("sleep 0.2")
    assert _notes(learner) == []


def test_the_notes_of_an_attempt_before_do_not_count(learner: Learner) -> None:
    for name in ("gpus-seen", "gpus-busy"):
        (learner.state / name).touch()
    learner.run('until [ -e "$JOB_STATE_DIR/gpus-watched" ]; do sleep 0.01; done', LEARNER_GPU_SECONDS="60")
    assert _notes(learner) == ["gpus-watched"]


def test_who_looks_is_no_process_that_the_program_left_behind(learner: Learner, said: Path) -> None:
    said.write_text("50\n")
    command = 'until [ -e "$JOB_STATE_DIR/gpus-busy" ]; do sleep 0.01; done; exit 3'
    code, shown = learner.run(command, LEARNER_GPU_SECONDS="60")
    assert (code, b"what still ran" in shown) == (3, False)
