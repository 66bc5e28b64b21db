"""Builds the Python of trainings: `python -m trainyard.local.training.prefix`, as `make setup` and `trainyard up` do.

It is a prefix as an installed Python has one, with links to this machine's standard library and packages of its own:
an environment made from it sees them as its system's packages, so that `pip install --user` works and comes first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard.errors import TrainyardError

# The image whose place it takes; of every other image the run says that it was not run.
IMAGE = "trainyard/scikit-learn:1.9"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"

_OF_THE_MACHINE = ("site-packages", "dist-packages", "EXTERNALLY-MANAGED")
_INTERPRETER = re.compile(rb"\A#!.*python.*\n(?:''':'\n)?")


def usual_prefix() -> Path:
    """Return where the stack's trainings have their Python: below the service's own environment."""
    return Path(sys.prefix) / "training"


def ensure(prefix: Path) -> bool:
    """Build the Python of trainings unless it is there as its lock says; return whether it was built.

    Raise TrainyardError S500 with the installer's last words if it cannot be.
    """
    try:
        with _lock(prefix):
            if _is_current(prefix):
                return False
            _build(prefix)
            return True
    except OSError as error:
        raise _failure(f"{error.filename or prefix}: {error.strerror}") from None


def _build(prefix: Path) -> None:
    new = prefix.with_name(f"{prefix.name}.new")
    for folder in (new, prefix):
        shutil.rmtree(folder, ignore_errors=True)
    _make_prefix(new)
    _install(new)
    (new / "ready").write_text(_wanted())
    new.rename(prefix)


def _wanted() -> str:
    lock = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{lock} {sys.version} {_interpreter()}\n"


def _is_current(prefix: Path) -> bool:
    try:
        return (prefix / "ready").read_text() == _wanted()
    except OSError:
        return False


def _interpreter() -> str:
    base: str = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    return base


def _make_prefix(prefix: Path) -> None:
    library, standard = prefix / "lib" / NAME, Path(sysconfig.get_path("stdlib"))
    (library / "site-packages").mkdir(parents=True)
    for entry in standard.iterdir():
        if entry.name not in _OF_THE_MACHINE:
            (library / entry.name).symlink_to(entry)
    dynamic = Path(sysconfig.get_path("platstdlib")) / "lib-dynload"
    if not (library / "lib-dynload").exists():
        (library / "lib-dynload").symlink_to(dynamic)
    (prefix / "lib64").symlink_to("lib")
    (prefix / "include").mkdir()
    (prefix / "include" / NAME).symlink_to(sysconfig.get_path("include"))
    (prefix / "bin").mkdir()
    _put_interpreter(prefix / "bin" / NAME)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(NAME)


def _put_interpreter(place: Path) -> None:
    """Copy the interpreter, since what is made from a linked one forgets this prefix; link one that needs its place."""
    shutil.copy2(_interpreter(), place)
    if subprocess.run([place, "-S", "-c", ""], capture_output=True, env={}, check=False).returncode:
        place.unlink()
        place.symlink_to(_interpreter())


def _install(prefix: Path) -> None:
    packages = prefix / "lib" / NAME / "site-packages"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if uv is None:
        raise _failure("there is no uv to install its packages with")
    # Copied: a file linked to uv's cache would be the same one as the service's.
    words = ["pip", "install", "--quiet", "--no-config", "--link-mode", "copy", "--no-deps", "--only-binary", ":all:"]
    command = [uv, *words, "--python", sys.executable, "--target", str(packages), "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise _failure("\n".join(done.stderr.strip().splitlines()[-5:]))
    for script in (packages / "bin").iterdir():
        _move_script(script, prefix / "bin" / script.name)
    shutil.rmtree(packages / "bin")
    _compile(packages)


def _move_script(script: Path, place: Path) -> None:
    """Let a command run with whichever Python comes first, which is that of the training."""
    place.write_bytes(_INTERPRETER.sub(b"#!/usr/bin/env python3\n", script.read_bytes(), count=1))
    place.chmod(0o755)


def _compile(packages: Path) -> None:
    """Leave no bytecode to be made by each training again: it cannot write here."""
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", "-x", "/tests/", str(packages)]
    subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)


def _failure(why: str) -> TrainyardError:
    hint = "Run `make setup` where the package index can be reached."
    return TrainyardError("S500", f"the Python of trainings could not be installed: {why}", hint)


@contextmanager
def _lock(prefix: Path) -> Iterator[None]:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with prefix.with_name(f"{prefix.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Build it where the stack of this environment looks for it."""
    try:
        ensure(usual_prefix())
    except TrainyardError as error:
        print(f"{error} {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
