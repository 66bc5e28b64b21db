"""Where runs and probes have their folders in the workspace, and which ids get one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from samples import MODEL_ID, RUN

from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.workspace.layout import Workspace
from trainyard.workspace.traces import traces

_OTHER, _AGAIN = "training-Xz81mQ0aB", "training-again0000"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_runs_of_two_trainings_with_one_id_have_folders_of_their_own(workspace: Workspace) -> None:
    one, other = (workspace.run(RunKey(training_id, _AGAIN)) for training_id in (MODEL_ID, _OTHER))
    assert one.root == workspace.root / "runs" / MODEL_ID / _AGAIN
    assert other.root == workspace.root / "runs" / _OTHER / _AGAIN


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../x", "a/b", "manual__2026-01-01", "training-short", f"{MODEL_ID}x", f"{MODEL_ID}\n", "\0"],
)
def test_an_id_that_the_service_did_not_make_has_no_folder(workspace: Workspace, text: str) -> None:
    for run in (RunKey(MODEL_ID, text), RunKey(text, MODEL_ID)):
        with pytest.raises(TrainyardError) as refusal:
            workspace.run(run)
        assert refusal.value.code.code == "C110"
    assert list(workspace.root.iterdir()) == []


def test_all_runs_are_found_with_their_last_change_and_nothing_else(workspace: Workspace) -> None:
    later, theirs = RunKey(MODEL_ID, _AGAIN), RunKey(_OTHER, MODEL_ID)
    for number, run in enumerate((RUN, later, theirs)):
        workspace.run(run).logs.mkdir(parents=True)
        os.utime(workspace.run(run).root, (1000 + number, 1000 + number))
    for name in ("backup", "manual__2026", "lost+found"):
        (workspace.root / "runs" / name / MODEL_ID).mkdir(parents=True)
        (workspace.training(MODEL_ID) / name).mkdir()
    (workspace.root / "runs" / "training-file00000").write_text("no folder")
    assert workspace.runs() == {RUN: 1000.0, later: 1001.0, theirs: 1002.0}
    assert set(workspace.trainings()) == {MODEL_ID, _OTHER, "training-file00000"}


def test_a_workspace_without_runs_has_none(workspace: Workspace) -> None:
    assert (workspace.runs(), workspace.trainings(), workspace.probes()) == ({}, {}, {})


def test_probes_lie_apart_from_the_runs(workspace: Workspace) -> None:
    workspace.probe("doctor-1").result.mkdir(parents=True)
    assert list(workspace.probes()) == ["doctor-1"]
    assert (workspace.runs(), workspace.trainings()) == ({}, {})


def test_a_run_folder_of_the_layout_before_this_one_is_a_trainings_and_no_runs(workspace: Workspace) -> None:
    """There the files of a run lay right below its id: what knows the training no more removes the folder."""
    for name in ("model", "result", "logs", "state"):
        (workspace.root / "runs" / MODEL_ID / name).mkdir(parents=True)
    assert workspace.runs() == {}
    assert list(workspace.trainings()) == [MODEL_ID]
    assert traces(workspace) == {}


def test_traces_are_those_of_one_run_each_whatever_ids_the_runs_share(workspace: Workspace) -> None:
    theirs = RunKey(_OTHER, MODEL_ID)
    holds = workspace.root / "datasets" / ".holds"
    holds.mkdir(parents=True)
    for name in (str(theirs), f".{RUN}", "training-0ldH0ld00", "manual__2026"):
        (holds / name).write_text("data-0/1")
        os.utime(holds / name, (1000, 1000))
    workspace.run(RUN).model.mkdir(parents=True)
    os.utime(workspace.run(RUN).model, (2000, 2000))
    assert traces(workspace) == {RUN: 2000.0, theirs: 1000.0}
