"""Another user of the machine gets at nothing that the one-machine stack keeps."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainyard.errors import TrainyardError
from trainyard.local import processes
from trainyard.local.private import make_private, private_files

NOBODY = 65534
_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
_FILES = ("secrets.json", "airflow/airflow.db", "catalogue/a.zip", "workspace/checkpoints/default-x/weights")


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder that every user gets into; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def old(ground: Path) -> Path:
    """A stack's folder as older versions left it: open to all."""
    folder = ground / ".trainyard"
    for name in _FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
        (folder / name).chmod(0o666)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    return folder


def as_nobody(script: str, *words: str) -> str:
    """Run a shell script as another user; return what it wrote."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c", script, "sh", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/").stdout


READ = 'for file in "$@"; do cat "$file"; done'
WRITE = (
    'for file in "$@"; do echo forged >>"$file" && echo "$file"; touch "$(dirname "$file")/new" && echo "$file"; done'
)


@_ROOT
def test_a_folder_that_was_open_is_closed_to_others(old):
    files = [str(old / name) for name in _FILES]
    assert as_nobody(READ, *files) == "secret" * len(files)
    make_private(old)
    assert as_nobody(READ, *files) == ""
    assert as_nobody(WRITE, *files) == ""
    assert {(old / name).read_text() for name in _FILES} == {"secret"}


@_ROOT
def test_who_linked_a_file_while_it_was_open_loses_it(old):
    kept = old.parent / "kept"
    os.link(old / _FILES[-1], kept)
    assert as_nobody(READ, str(kept)) == "secret"
    make_private(old)
    assert as_nobody(READ, str(kept)) == ""


def test_links_are_not_followed_and_programs_stay_programs(old):
    outside = old.parent / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    (old / "link").symlink_to(outside)
    (old / "run").touch(mode=0o755)
    make_private(old)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert stat.S_IMODE((old / "run").stat().st_mode) == 0o700


@_ROOT
def test_a_folder_of_another_user_is_refused(ground):
    folder = ground / ".trainyard"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(TrainyardError, match=r"belongs to another user \(uid 65534\)"):
        make_private(folder)


def test_a_new_folder_and_what_is_made_in_it_are_this_users_alone(ground):
    with private_files():
        make_private(ground / ".trainyard")
        (ground / ".trainyard" / "logs").mkdir()
        (ground / ".trainyard" / "ports.json").touch()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in ((ground / ".trainyard"), *ground.rglob("*"))]
    assert not [mode for mode in modes if mode & 0o077]


# A server outlives whoever started it, and Python warns of that.
@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")
def test_servers_make_files_for_their_user_alone(ground):
    command = ("sh", "-c", f"touch {ground}/made && mkdir {ground}/folder")
    processes.start(command, {}, ground / "log", ground / ".trainyard").wait(120)
    assert stat.S_IMODE((ground / "made").stat().st_mode) == 0o600
    assert stat.S_IMODE((ground / "folder").stat().st_mode) == 0o700
