"""Which Python environment a run mounts: by its requirements and image, the account's own, gone when nobody uses it."""

from __future__ import annotations

import os
import time

import pytest
from samples import RUN

from trainyard.workspace.environments import READY, UNUSED_DAYS, environment_for
from trainyard.workspace.layout import Workspace


@pytest.fixture
def workspace(tmp_path):
    found = Workspace(tmp_path)
    found.run(RUN).model.mkdir(parents=True)
    return found


def _found(workspace, text="torch==2.0\n", account="vision", image="image:1", zip_sha256="ab"):
    (workspace.run(RUN).model / "requirements.txt").write_text(text)
    return environment_for(workspace, account, workspace.run(RUN), image, zip_sha256)


def test_same_file_and_image_are_one_environment_whatever_the_zip(workspace):
    assert _found(workspace) == _found(workspace, zip_sha256="cd")
    others = [
        _found(workspace, "torch==2.1\n"),
        _found(workspace, image="image:2"),
        _found(workspace, account="speech"),
    ]
    assert len({one.path for one in [_found(workspace), *others]}) == 4


@pytest.mark.parametrize("line", ["-r more.txt", "-e .", "./lib", "lib/x.whl", "x @ file:///job/model/x", "-c c.txt"])
def test_a_file_that_names_files_of_the_zip_belongs_to_that_zip(workspace, line):
    assert _found(workspace, f"torch\n{line}\n") != _found(workspace, f"torch\n{line}\n", zip_sha256="cd")


@pytest.mark.parametrize("line", ["-i https://pypi.example.com/simple", "x @ https://example.com/x.whl", "a-e>=1"])
def test_other_lines_belong_to_all(workspace, line):
    assert _found(workspace, f"{line}\n") == _found(workspace, f"{line}\n", zip_sha256="cd")


def test_it_is_ready_once_a_pod_has_said_so(workspace):
    made = _found(workspace)
    assert not made.ready
    assert made.path.stat().st_mode & 0o777 == 0o777
    (made.path / READY).write_text("training-DOl4q2LkR-1")
    assert _found(workspace).ready


def test_without_requirements_there_is_none(workspace):
    folder = workspace.run(RUN)
    assert environment_for(workspace, "vision", folder, "image:1", "ab") is None
    assert _found(workspace, "# nothing\n\n") is None
    (folder.model / "requirements.txt").unlink()
    (folder.model / "requirements.txt").symlink_to("/etc/passwd")
    assert environment_for(workspace, "vision", folder, "image:1", "ab") is None
    assert not workspace.environments("vision").exists()


def test_what_nobody_has_used_for_a_month_goes_and_what_is_used_stays(workspace):
    old, used = _found(workspace, "old\n"), _found(workspace, "used\n")
    past = time.time() - (UNUSED_DAYS + 1) * 24 * 3600
    for one in (old, used):
        os.utime(one.path, (past, past))
    assert _found(workspace, "used\n") == used
    assert not old.path.exists()
