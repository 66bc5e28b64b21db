"""A container's own Python environment: what it installs is its own, and gone with its pod.

A container runtime brings the image's Python; here a few links in the container's folder make one of a Python of this
machine. Whatever is installed goes there, and what the Python below has installed is seen and never changed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from localkube.config import Config
from localkube.mounts import Mount

FOLDER = "python"

_NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Not by the interpreter's path in the first line, which may hold blanks or be too long for one.
_PIP = '#!/bin/sh\nexec "${0%/*}/python" -m pip "$@"\n'


def make_environment(container: Path, base: Path | None) -> Path:
    """Make the environment in a container's folder, on top of a Python's prefix or of this machine's own Python."""
    environment = container / FOLDER
    commands, packages = environment / "bin", environment / "lib" / _NAME / "site-packages"
    for folder in (commands, packages):
        folder.mkdir(parents=True, exist_ok=True)
    interpreter = base / "bin" / _NAME if base else _own_interpreter()
    for name in ("python", "python3", _NAME):
        _link(commands / name, str(interpreter))
    _link(environment / "lib64", "lib")
    for name in ("pip", "pip3", f"pip{_NAME.removeprefix('python')}"):
        (commands / name).write_text(_PIP)
        (commands / name).chmod(0o755)
    (environment / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = true\n")
    return environment


def python_variables(environment: Path, config: Config) -> dict[str, str]:
    """Return what makes every `python`, `pip` and installed command the environment's."""
    below = [str(config.python / "bin")] if config.python else []
    path = [str(environment / "bin"), *below, *filter(None, [config.environment.get("PATH")])]
    return {"PATH": os.pathsep.join(path), "VIRTUAL_ENV": str(environment)}


def python_mounts(environment: Path, mounts: list[Mount], config: Config) -> list[Mount]:
    """Return the mounts by which a container sees its environment, and this program's own only to read.

    The machine's Python is mounted where a volume or a hidden folder would hide it, as in a checkout below /tmp.
    """
    prefixes = [sys.base_prefix] if _is_covered(sys.base_prefix, mounts, config) else []
    prefixes += [each for each in (sys.prefix, str(config.python or "")) if each and each != sys.base_prefix]
    return [
        *(Mount(source=prefix, target=prefix, readOnly=True) for prefix in dict.fromkeys(prefixes)),
        Mount(source=str(environment), target=str(environment), readOnly=False),
    ]


def _is_covered(path: str, mounts: list[Mount], config: Config) -> bool:
    covers: list[Mapping[str, object]] = [*mounts]
    folders = [str(mount["target"]) for mount in covers] + [str(each) for each in config.hidden]
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _own_interpreter() -> Path:
    return Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))


def _link(place: Path, target: str) -> None:
    if not place.is_symlink():
        place.symlink_to(target)
