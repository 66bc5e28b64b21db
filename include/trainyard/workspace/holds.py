"""Which run uses which version of a dataset: a file for each run that holds one, named after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Holds:
    """The holds below the folder of all datasets. Whoever changes one holds the guard."""

    def __init__(self, datasets: Path) -> None:
        self._datasets = datasets
        self._folder = datasets / ".holds"

    def of(self, model_id: str) -> Path | None:
        """Return the version that a run holds."""
        with suppress(FileNotFoundError):
            return self._datasets / (self._folder / model_id).read_text(encoding="utf-8")
        return None

    def set(self, model_id: str, path: Path) -> None:
        """Let a run hold a version, in the place of what it held."""
        self._folder.mkdir(parents=True, exist_ok=True)
        made = self._folder / f".{model_id}"
        made.write_text(path.relative_to(self._datasets).as_posix(), encoding="utf-8")
        made.replace(self._folder / model_id)

    def remove(self, model_id: str) -> None:
        for name in (model_id, f".{model_id}"):  # the second where a setting broke off
            (self._folder / name).unlink(missing_ok=True)

    def since(self) -> dict[str, float]:
        """Return model id -> when it took its hold, in seconds since the epoch; also of one that was half taken."""
        found: dict[str, float] = {}
        with suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # released just now
                    model_id, taken = entry.name.removeprefix("."), entry.stat(follow_symlinks=False).st_mtime
                    found[model_id] = max(taken, found.get(model_id, 0.0))
        return found

    def all(self) -> dict[Path, list[str]]:
        """Return the versions that are held, each with the runs that hold it, in their order."""
        found: dict[Path, list[str]] = {}
        for model_id, path in sorted(self._read()):
            found.setdefault(path, []).append(model_id)
        return found

    def _read(self) -> Iterator[tuple[str, Path]]:
        for hold in self._folder.glob("[!.]*"):
            path = self.of(hold.name)
            if path:
                yield hold.name, path
