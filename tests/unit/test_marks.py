"""What a training pod leaves in the workspace for the service to see."""

from __future__ import annotations

import os

from trainyard.workspace.layout import RunFolder, started_at


def test_a_run_whose_program_has_not_started_has_no_start(tmp_path):
    assert started_at(RunFolder(tmp_path)) is None


def test_the_start_is_the_files_time_whatever_the_program_writes_into_it(tmp_path):
    run = RunFolder(tmp_path)
    run.state.mkdir()
    run.started.write_text("9999999999")
    os.utime(run.started, (1000.5, 1000.5))
    assert started_at(run) == 1000.5


def test_a_mark_that_cannot_be_looked_at_counts_as_none(tmp_path):
    run = RunFolder(tmp_path)
    run.state.write_text("a file where the folder should be")
    assert started_at(run) is None
