"""The Dockerfile, .dockerignore and docker-compose.yaml, read as far as tests need them."""

from __future__ import annotations

import re
import shlex
import shutil
from fnmatch import fnmatch
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
_PINNED = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)?:[a-z0-9.-]*\d[a-z0-9.-]*(@sha256:[0-9a-f]{64})?")
_ROOTS = ("/opt/trainyard", "/opt/airflow", "/var/lib/trainyard")


def pinned(image: str) -> bool:
    """Say whether an image is a name without a registry's host, with a tag that says a version."""
    return _PINNED.fullmatch(image) is not None


def variables_used(compose: str) -> set[str]:
    """Return the variables that a Compose file's text asks for."""
    return set(re.findall(r"\$\{(\w+)", compose))


def instructions(file: Path = PROJECT / "Dockerfile") -> list[tuple[str, str]]:
    """Return each instruction and its arguments, in order; lines that go on are joined."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def last_stage() -> list[tuple[str, str]]:
    """Return the instructions of the stage that becomes the image."""
    found = instructions()
    start = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    words = [word for name, rest in last_stage() if name == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def copies() -> dict[str, str]:
    """Return source -> target of what the image takes from the project."""
    taken = [rest.split() for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    return {source.rstrip("/"): target for *sources, target in taken for source in sources}


def sent(path: str) -> bool:
    """Say whether a file of the project reaches the build: the last line of .dockerignore that fits decides."""
    lines = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    kept = True
    for line in (line for line in lines if line and not line.startswith("#")):
        pattern = line.removeprefix("!")
        parts = path.split("/")
        fits = any(fnmatch("/".join(parts[: end + 1]), pattern) for end in range(len(parts)))
        if pattern.startswith("**/"):
            fits = any(fnmatch(part, pattern.removeprefix("**/")) for part in parts)
        if fits:
            kept = line.startswith("!")
    return kept


def unpack(folder: Path) -> dict[str, str]:
    """Lay the image's files out below a folder; return the image's variables with the paths there."""
    for source, target in copies().items():
        place = folder / target.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / source).is_dir():
            shutil.copytree(PROJECT / source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy(PROJECT / source, place)
    for root in _ROOTS:
        (folder / root.strip("/")).mkdir(parents=True, exist_ok=True)
    moved = environment()
    for root in _ROOTS:
        moved = {name: value.replace(root, f"{folder}{root}") for name, value in moved.items()}
    return moved
