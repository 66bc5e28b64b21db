"""A real MLflow server for one test session, thrown away at its end."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard.local.ready import wait_for

_PROGRAM = Path(__file__).resolve().with_name("serve.py")
_PYTHON = Path(__file__).resolve().parents[2] / ".venv" / "mlflow" / "bin" / "python"
_READY_SECONDS = 180


@contextmanager
def mlflow_server() -> Iterator[str]:
    """Start a server and yield its address; fail with its own words if it does not start."""
    assert _PYTHON.exists(), "MLflow is not installed: run `make tools`"
    with tempfile.TemporaryDirectory(prefix="trainyard-mlflow-") as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([_PYTHON, _PROGRAM, folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(lambda: server.poll() is not None or (folder / "port").exists(), _READY_SECONDS)
            assert (folder / "port").exists(), (folder / "log").read_text()[-4000:]
            yield f"http://127.0.0.1:{(folder / 'port').read_text()}"
        finally:
            server.kill()
            server.wait()
