"""The examples of docs/python.md, run as they stand there on a running stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from yard import RUN_LIMIT_SECONDS, Yard

_DOC = Path(__file__).resolve().parents[2] / "docs" / "python.md"
_FIRST, _ERRORS = re.findall(r"```python\n(.*?)```", _DOC.read_text("utf-8"), re.DOTALL)
PROGRAM = 'import os, pathlib\nprint("hello")\npathlib.Path(os.environ["RESULT_DIR"], "note.txt").write_text("done")\n'

pytestmark = pytest.mark.xdist_group("other stack")


@pytest.fixture
def work(yard: Yard) -> Path:
    """A folder with a manifest and a program in a folder, below that of the stack, so that its sign-in is found."""
    manifest, _ = yard.files("fails-with-3")
    place = yard.folder.parent / f"work-{os.urandom(4).hex()}"
    place.mkdir()
    (place / "manifest.yml").write_bytes(manifest.read_bytes())
    (place / "model").mkdir()
    (place / "model" / "train.py").write_text(PROGRAM)
    return place


def _python(work: Path, code: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=work,
        env=clean,
        capture_output=True,
        text=True,
        timeout=2 * RUN_LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_example_trains_follows_downloads_lists_and_deletes(yard: Yard, work: Path) -> None:
    lines = _python(work, _FIRST)
    assert lines[:2] == ["hello", "completed 0 "]
    assert lines[2].startswith("[")
    assert "'note.txt'" in lines[2]
    model_id, state = lines[-1].split()
    assert state == "completed"
    (note,) = (work / model_id).rglob("note.txt")
    assert note.read_text() == "done"
    yard.trainyard("show", model_id, fails=True)


def test_the_example_of_errors_tells_every_problem(work: Path) -> None:
    assert _python(work, _ERRORS) == [
        "set.no_such_parameter: the manifest has no hyperparameter no_such_parameter. Give the manifest hyperparameters"
        " first."
    ]
