"""The pages below docs/reference are what the code says of itself today."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]


def test_the_reference_is_that_of_the_code(tmp_path):
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")}
    command = [sys.executable, str(_PROJECT / "scripts" / "reference.py"), str(tmp_path / "made")]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, timeout=300)
    made = {page.name: page.read_text("utf-8") for page in (tmp_path / "made").iterdir()}
    kept = {page.name: page.read_text("utf-8") for page in (_PROJECT / "docs" / "reference").iterdir()}
    assert sorted(made) == ["cli.md", "python.md", "rest.md"]
    assert made == kept, "run `make reference`"
