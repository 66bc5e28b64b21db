"""Another user of the machine tries to read and write all that a running stack keeps."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from yard import Yard

pytestmark = [
    pytest.mark.xdist_group("stack"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user"),
]

_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_TRY = """
while IFS= read -r path; do
    if [ -d "$path" ]; then ls "$path"; touch "$path/new"; else cat "$path"; (: >>"$path"); fi && echo "got $path"
done
"""


def kept(yard: Yard) -> list[str]:
    folder = yard.folder.parent
    return [str(path.relative_to(folder)) for path in yard.folder.rglob("*") if "\n" not in str(path)]


def test_another_user_reads_and_writes_nothing_of_a_stack_with_a_finished_run(yard: Yard) -> None:
    yard.finished(yard.submit("digits"))
    # Pytest closes its folders; the one that the stack's is in is open here, as a person's may be.
    yard.folder.parent.chmod(0o755)
    paths = kept(yard)
    assert {".trainyard/airflow/airflow.db", ".trainyard/workspace/runs"} <= set(paths)
    done = subprocess.run(
        [*_NOBODY, "sh", "-c", _TRY], input="\n".join(paths), cwd=yard.folder.parent, capture_output=True, text=True
    )
    assert done.stderr.count("Permission denied") >= len(paths)
    assert done.stdout == ""
    assert not [path for path in yard.folder.rglob("*") if path.name == "new"]


def umask_of(pid: int) -> str | None:
    """Return the umask of a process; None of one that has ended, whether or not its parent has seen that."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), None)


def test_every_process_of_the_stack_makes_files_for_its_user_alone(yard: Yard) -> None:
    found = yard.stack.processes()
    looked = [(process, umask) for process in found if (umask := umask_of(process.pid)) is not None]
    assert len(looked) >= 6
    assert [process for process, umask in looked if umask != "0077"] == []
