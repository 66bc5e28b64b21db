"""Files of script and style that pages load: under an address that names their content, so that browsers keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from fastapi.responses import FileResponse

from trainyard.errors import TrainyardError

# What `make setup` installs as package-lock.json says; the image has a stage for it.
PACKAGES = Path(__file__).resolve().parents[1] / "web" / "node_modules"
_YEAR_SECONDS = 365 * 24 * 3600
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Assets:
    """The files there are by the name that pages call them; nothing else is served."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)

    def address(self, name: str) -> str:
        """Return where a file is served, below the place of all: another content has another address."""
        return f"{_digest_of(self._files[name]) or 'missing'}/{name}"

    def missing(self) -> list[str]:
        """Return the names of the files that are not installed."""
        return [name for name, file in self._files.items() if not file.is_file()]

    def answer(self, digest: str, name: str) -> FileResponse:
        """Return the answer with a file; one of an older page gets the new content, which nobody keeps.

        Raise TrainyardError C107 for a name that there is not, or whose package is not installed.
        """
        file = self._files.get(name)
        if file is None:
            raise TrainyardError("C107", "there is nothing at this path", "Go back to the page and load it again.")
        found = _digest_of(file)
        if found is None:
            raise TrainyardError("C107", f"{name} is not installed", "Run `make setup`, or build the image again.")
        kept = f"public, max-age={_YEAR_SECONDS}, immutable" if digest == found else "no-cache"
        return FileResponse(file, media_type=_KINDS[file.suffix], headers={"Cache-Control": kept})


def _digest_of(file: Path) -> str | None:
    try:
        seen = file.stat()
    except OSError:
        return None
    return _digest(file, seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=256)
def _digest(file: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
