"""The two files of a submission, taken up from where the person says they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainyard.cli.errors import Files
from trainyard.cli.output import remark
from trainyard.client.errors import WrongUsageError

STDIN = "-"
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Handed:
    """A submission at hand: the manifests with what the person called them, the zip's path."""

    files: Files
    manifests: tuple[tuple[str, bytes], ...]
    zip: Path


def hand_in(zip_name: str, manifest_names: Sequence[str]) -> Handed:
    """Find and read all files; a zip and a manifest that stand the other way round are taken for what they are."""
    if len(manifest_names) == 1:
        zip_name, manifest_name = _in_order(zip_name, manifest_names[0])
        manifest_names = [manifest_name]
    if manifest_names.count(STDIN) > 1:
        raise WrongUsageError("two manifests cannot both come from stdin", "Name a file for one of them.")
    zipped = zip_path(zip_name)
    manifests = tuple((called(name), read_manifest_file(name)) for name in manifest_names)
    return Handed(Files(called(manifest_names[0]), zip_name), manifests, zipped)


def zip_path(name: str) -> Path:
    """Return the path of a zip that is there and can be read. Raise WrongUsageError."""
    _start_of(name, "zip", "Pack the program's files into a .zip first.")
    return Path(name)


def read_manifest_file(name: str) -> bytes:
    """Read the whole manifest from a file or stdin. Raise WrongUsageError."""
    if name == STDIN:
        return sys.stdin.buffer.read()
    _start_of(name, "manifest", "Check the path.")
    return Path(name).read_bytes()


def called(manifest_name: str) -> str:
    return "<stdin>" if manifest_name == STDIN else manifest_name


def _in_order(zip_name: str, manifest_name: str) -> tuple[str, str]:
    if not _is_zip(manifest_name) or _is_zip(zip_name):
        return zip_name, manifest_name
    remark(f"note: {manifest_name} is taken as the zip and {zip_name} as the manifest")
    return manifest_name, zip_name


def _is_zip(name: str) -> bool:
    return name != STDIN and Path(name).is_file() and _start_of(name, "zip", "").startswith(_ZIP_STARTS)


def _start_of(name: str, what: str, hint: str) -> bytes:
    path = Path(name)
    if path.is_dir():
        raise WrongUsageError(f"the {what} {name} is a folder", hint)
    try:
        with path.open("rb") as file:
            return file.read(4)
    except FileNotFoundError:
        raise WrongUsageError(f"there is no file {name}", f"Name the {what} that is to be used.") from None
    except OSError as error:
        message = f"the {what} {name} cannot be read: {error.strerror}"
        raise WrongUsageError(message, "Check the path and its rights.") from None
