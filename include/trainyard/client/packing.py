"""The program as the zip that is submitted: a zip as it is, a folder packed; the same files make the same zip."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainyard.client.errors import WrongUsageError
from trainyard.client.gitstate import code_version
from trainyard.client.ignoring import IGNORE_FILE, Ignored
from trainyard.domain.codeversion import CodeVersion

# What a service takes is its own to say; a folder beyond this is data, and no program.
MAX_FOLDER_BYTES = 4 * 1024**3
MAX_FOLDER_FILES = 100_000
# The earliest time that a zip can hold: when a file was written is no part of a program.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@dataclass(frozen=True)
class Packed:
    """A program's zip, and the commit that a folder was packed from, None where there is none."""

    zip: Path
    code: CodeVersion | None = None

    @property
    def fields(self) -> dict[str, str]:
        """What goes to the front door about the program beside the zip."""
        return {"code": self.code.as_json()} if self.code else {}


@contextmanager
def packed(program: str | os.PathLike[str], manifests: Iterable[str | os.PathLike[str]] = ()) -> Iterator[Packed]:
    """Yield a program's zip; raise WrongUsageError where it is not there or cannot be packed.

    The manifests that are submitted with it are no part of the program: they may hold the keys of its stores.
    """
    path = Path(program)
    if not path.is_dir():
        if not path.is_file():
            raise WrongUsageError(f"there is no file or folder {path}", "Name the program's folder, or its zip.")
        yield Packed(path)
        return
    apart = [Path(manifest) for manifest in manifests]
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        target = Path(folder) / "model.zip"
        names = pack(path, target, apart)
        yield Packed(target, code_version(path, names, Ignored(path).leaves_out))


def pack(folder: Path, target: Path, apart: Sequence[Path] = ()) -> list[str]:
    """Zip a folder but for what `.trainyardignore` and `apart` name; return the names, which are relative to it.

    Hidden files are packed too, and links as what they point to. Raise WrongUsageError for a folder without a file, a
    link to a folder, too much, and what cannot be read.
    """
    ignored = Ignored(folder)
    try:
        files = sorted(_wanted(folder, ignored, apart), key=lambda file: file.relative_to(folder).parts)
        _check_amount(folder, files)
        names = [file.relative_to(folder).as_posix() for file in files]
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, name in zip(files, names, strict=True):
                _add(archive, file, name)
    except OSError as error:
        message = f"{error.filename or folder} cannot be packed: {error.strerror or error}"
        raise WrongUsageError(message, "Check the files and their rights.") from None
    return names


def _check_amount(folder: Path, files: Sequence[Path]) -> None:
    if not files:
        raise WrongUsageError(f"the folder {folder} has no file", "Name the folder that the program is in.")
    hint = f"Data belongs in the training bucket: name what is no part of the program in {folder / IGNORE_FILE}."
    if len(files) > MAX_FOLDER_FILES:
        raise WrongUsageError(f"the folder {folder} has more than {MAX_FOLDER_FILES} files", hint)
    if sum(file.stat().st_size for file in files) > MAX_FOLDER_BYTES:
        raise WrongUsageError(f"the folder {folder} has more than {MAX_FOLDER_BYTES} bytes", hint)


def _wanted(folder: Path, ignored: Ignored, apart: Sequence[Path]) -> Iterator[Path]:
    for found, file in enumerate(_files(folder, ignored)):
        if not any(other.exists() and file.samefile(other) for other in apart):
            yield file
        if found > MAX_FOLDER_FILES:
            return


def _files(folder: Path, ignored: Ignored) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_fail):
        below = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not ignored.leaves_out((below / name).as_posix(), is_folder=True)]
        for name in folders:
            if (link := Path(place, name)).is_symlink():
                hint = f"Put the folder itself there, or name it in {folder / IGNORE_FILE}."
                raise WrongUsageError(f"{link} is a link to a folder", hint)
        wanted = (name for name in names if not ignored.leaves_out((below / name).as_posix()))
        yield from (file for name in wanted if not _is_special(file := Path(place, name)))


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
