"""Files of a run fetched into a folder: each whole or not there, and what came already not fetched again."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from trainyard.client.errors import UnreachableError, WrongUsageError
from trainyard.client.rest import RestClient
from trainyard.client.waiting import pauses
from trainyard.errors import TrainyardError

_ASIDE = ".trainyard-download"
_ATTEMPTS = 5
Progress = Callable[[int], object]
# Shows how much of so many bytes is there, if anybody is to see it.
Bar = Callable[[int], AbstractContextManager[Progress | None]]


@dataclass(frozen=True)
class Target:
    """A folder, with a place in it for what is not whole yet."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return where a file goes; raise S500 for a name that would leave the folder."""
        parts = name.split("/")
        foreign = os.name == "nt" and bool(set(name) & set("\\:"))
        if "\0" in name or foreign or {"", ".", ".."} & set(parts) or parts[0] == _ASIDE:
            message = f"the stored name {name!r} cannot be a file below {self.folder}"
            raise TrainyardError("S500", message, "Fetch it with the tools of your object store.")
        return self.folder.joinpath(*parts)

    def aside(self, model_id: str, name: str, size: int) -> Path:
        digest = hashlib.sha256(f"{model_id}/{name}/{size}".encode()).hexdigest()
        return self.folder / _ASIDE / digest[:32]

    def finish(self) -> None:
        shutil.rmtree(self.folder / _ASIDE, ignore_errors=True)


def fetch_all(
    service: RestClient,
    model_id: str,
    target: Target,
    force: bool,
    bar: Bar | None = None,
    only: Callable[[str], bool] = lambda _: True,
) -> dict[str, int]:
    """Fetch every stored file, or those whose names are wanted; return name -> size.

    Raise WrongUsageError for files in the way, before fetching any.
    """
    files = {row.name: row.size for row in service.results(model_id)}
    if not files:
        raise TrainyardError("C107", f"{model_id} has stored nothing", f"`trainyard show {model_id}` says why.")
    files = {name: size for name, size in files.items() if only(name)}
    try:
        missing = _missing(files, target, force)
        with bar(sum(missing.values())) if bar else nullcontext() as shown:
            done = 0
            for name, size in missing.items():
                _fetch(service, model_id, name, size, target, _shifted(shown, done))
                done += size
    except OSError as error:
        place = error.filename or target.folder
        raise WrongUsageError(f"{place} cannot be written: {error.strerror}", "Name another folder.") from None
    target.finish()
    return files


def check_stored(service: RestClient, model_id: str) -> None:
    """Raise C108 for a run that has not stored everything yet."""
    run = service.run(model_id)
    if not run.ended:
        hint = f"Follow it with `trainyard logs --follow {model_id}`, then download."
        raise TrainyardError("C108", f"{model_id} is {run.phase}; its results are stored when it ends", hint)


def _missing(files: Mapping[str, int], target: Target, force: bool) -> dict[str, int]:
    paths = {name: target.path(name) for name in files}
    missing = {name: size for name, size in files.items() if _size(paths[name]) != size}
    in_the_way = [paths[name] for name in missing if os.path.lexists(paths[name])]
    folders = [path for path in in_the_way if path.is_dir() and not path.is_symlink()]
    if folders or (in_the_way and not force):
        hint = "Name another folder." if folders else "Replace them with --force, or name another folder."
        raise WrongUsageError(f"{_reported(folders or in_the_way)} would be written over", hint)
    return missing


def _fetch(service: RestClient, model_id: str, name: str, size: int, target: Target, progress: Progress) -> None:
    """Fetch one file over connections that break; it takes its name when all of it is there."""
    aside, attempts, pause = target.aside(model_id, name, size), _ATTEMPTS, pauses()
    aside.parent.mkdir(parents=True, exist_ok=True)
    while (have := _size(aside) or 0) < size or not aside.exists():
        try:
            _append(service.result(model_id, name, have), aside, progress, have)
        except UnreachableError:
            attempts = _ATTEMPTS if (_size(aside) or 0) > have else attempts - 1
            if not attempts:
                raise
            time.sleep(next(pause))
        else:
            _check_size(aside, name, size)
    _check_size(aside, name, size)
    path = target.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.replace(path)


def _append(chunks: Iterable[bytes], aside: Path, progress: Progress, have: int) -> None:
    with aside.open("ab") as file:
        for chunk in chunks:
            file.write(chunk)
            have += len(chunk)
            progress(have)


def _check_size(aside: Path, name: str, size: int) -> None:
    if (found := _size(aside)) != size:
        aside.unlink(missing_ok=True)
        message = f"{name} came with {found} bytes in the place of {size}"
        raise TrainyardError("S305", message, "Download it again.")


def _shifted(bar: Progress | None, done: int) -> Progress:
    def progress(have: int) -> None:
        if bar:
            bar(done + have)

    return progress


def _size(path: Path) -> int | None:
    """Return the size of a regular file, None for anything else."""
    try:
        return path.stat().st_size if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _reported(paths: Iterable[Path]) -> str:
    shown = [str(path) for path in paths]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more
