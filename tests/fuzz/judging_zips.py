"""Judge what becomes of one zip: checked as the front door does, then unpacked as a worker does."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fuzz.refusals import judged_refusal
from fuzz.verdicts import ACCEPTED, Kind, Verdict
from fuzz.zips import hostile_zip
from trainyard.errors import TrainyardError
from trainyard.manifest.archive import ArchiveEntry, ArchiveRules, check_archive, unpack_archive

_RULES = ArchiveRules()
_CODES = ("C102",)
_ALLOWED_MODES = {0o755, 0o644}
Found = tuple[ArchiveEntry, ...] | TrainyardError


def run_zip(data: bytes) -> Found:
    """Check a zip as the front door does."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data)
        file.flush()
        try:
            return check_archive(Path(file.name), _RULES)
        except TrainyardError as error:
            return error


def judge_zip(data: bytes, found: Found) -> Verdict:
    """Hold what became of a zip against what is promised, and unpack it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        (folder / "model.zip").write_bytes(data)
        faults = list(_refused(folder, found) if isinstance(found, TrainyardError) else _unpacked(folder, found))
        faults += _escaped(folder)
    finally:
        shutil.rmtree(folder)
    if faults:
        return Verdict("wrong", faults[0])
    return judged_refusal(found, _CODES, None, ()) if isinstance(found, TrainyardError) else Verdict(ACCEPTED)


ZIPS = Kind(hostile_zip, run_zip, judge_zip, ".zip")


def _refused(folder: Path, found: TrainyardError) -> Iterator[str]:
    try:
        unpack_archive(folder / "model.zip", folder / "model", _RULES)
    except TrainyardError:
        return
    yield f"refused and yet unpacked: {found.problems}"


def _unpacked(folder: Path, found: tuple[ArchiveEntry, ...]) -> Iterator[str]:
    unpack_archive(folder / "model.zip", folder / "model", _RULES)
    reported = {entry.name: entry.size for entry in found}
    there = {}
    for path in (folder / "model").rglob("*"):
        state = path.lstat()
        if stat.S_ISREG(state.st_mode):
            there[path.relative_to(folder / "model").as_posix()] = state.st_size
            if stat.S_IMODE(state.st_mode) not in _ALLOWED_MODES:
                yield f"{path.name!r} has mode {state.st_mode:o}"
        elif not stat.S_ISDIR(state.st_mode):
            yield f"{path.name!r} is neither file nor folder"
    if reported != there:
        yield f"told {sorted(reported)[:9]}, unpacked {sorted(there)[:9]}"


def _escaped(folder: Path) -> Iterator[str]:
    if others := {path.name for path in folder.iterdir()} - {"model.zip", "model"}:
        yield f"unpacked beside its folder: {others}"
