"""TensorBoard in an environment of its own, which needs nothing of this one and changes nothing in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from trainyard.client.errors import WrongUsageError

# TensorBoard imports pkg_resources, which setuptools no longer has since 81.
REQUIREMENTS = ("tensorboard==2.21.0", "setuptools<81")
_READY = "ready"


def environment_folder() -> Path:
    """Return where it is kept: below XDG_CACHE_HOME, or ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "trainyard" / "tensorboard"


def installed(report: Callable[[str], object], folder: Path | None = None) -> Path:
    """Return the environment's interpreter, and make it where it is not there yet; raise WrongUsageError."""
    folder = folder or environment_folder()
    python, mark = folder / "bin" / "python", folder / _READY
    if mark.is_file() and mark.read_text() == "\n".join(REQUIREMENTS):
        return python
    report(f"Installing TensorBoard into {folder} ...")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS])
        # Last, so that one which was broken off is made again.
        mark.write_text("\n".join(REQUIREMENTS))
    except OSError as error:
        raise WrongUsageError(f"{folder} cannot be written: {error.strerror}", "Set XDG_CACHE_HOME.") from None
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        hint = "pip has to reach a package index; PIP_INDEX_URL names another one."
        raise WrongUsageError(f"TensorBoard cannot be installed: {' '.join(last)}", hint)


def serve(python: Path, folder: Path, port: int) -> None:
    """Run TensorBoard on this machine alone until it ends; raise WrongUsageError where it does not start."""
    command = [str(python), "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1"]
    code = subprocess.run([*command, "--port", str(port)], check=False).returncode
    if code:
        raise WrongUsageError(f"TensorBoard ended with exit code {code}", "Its last lines say why; try another --port.")
