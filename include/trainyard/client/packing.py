"""The program as the zip that is handed in: a zip as it is, a folder packed; the same files make the same zip."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard.client.errors import WrongUsageError

# The first moment that a zip can tell: when a file was written is no part of a program.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@contextmanager
def packed(program: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a program's zip; raise WrongUsageError where it is not there or cannot be packed."""
    path = Path(program)
    if not path.is_dir():
        if not path.is_file():
            raise WrongUsageError(f"there is no file or folder {path}", "Name the program's folder, or its zip.")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        target = Path(folder) / "model.zip"
        pack(path, target)
        yield target


def pack(folder: Path, target: Path) -> None:
    """Zip all that is in a folder, with names relative to it: hidden files too, links as what they point to.

    Raise WrongUsageError for a folder without a file, a link to a folder, and what cannot be read.
    """
    try:
        files = sorted(_files(folder), key=lambda file: file.relative_to(folder).parts)
        if not files:
            raise WrongUsageError(f"the folder {folder} has no file", "Name the folder that the program is in.")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                _add(archive, file, file.relative_to(folder).as_posix())
    except OSError as error:
        message = f"{error.filename or folder} cannot be packed: {error.strerror or error}"
        raise WrongUsageError(message, "Check the files and their rights.") from None


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_fail):
        for name in folders:
            if (link := Path(place, name)).is_symlink():
                raise WrongUsageError(f"{link} is a link to a folder", "Put the folder itself there.")
        yield from (file for name in names if not _is_special(file := Path(place, name)))


def _is_special(file: Path) -> bool:
    """Say whether a file is a socket, a pipe or a device; a link to nothing fails when it is read."""
    return file.exists() and not file.is_file()


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system, entry.compress_type = _UNIX, zipfile.ZIP_DEFLATED
    status = file.stat()
    entry.external_attr = (0o100755 if status.st_mode & 0o100 else 0o100644) << 16
    entry.file_size = status.st_size
    with file.open("rb") as content, archive.open(entry, "w") as packing:
        shutil.copyfileobj(content, packing)


def _fail(error: OSError) -> None:
    raise error
