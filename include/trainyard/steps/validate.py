"""Check that all that a training names is really there, before anything is waited for or moved."""

from __future__ import annotations

import hashlib
import io
import posixpath
import secrets
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from trainyard.domain.digest import CHUNK, chunks
from trainyard.domain.training import TrainingSpec
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.manifest.entryname import entry_name
from trainyard.manifest.program import missing_program
from trainyard.steps.buckets import PROBE, is_training_data
from trainyard.stores.atmost import AtMost
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.refusals import refusal
from trainyard.stores.sampling import read_start

_PATHS = {
    "wml": ("training_data_reference", "training_results_reference"),
    "ffdl": ("data_stores[0].training_data", "data_stores[0].training_results"),
}


def validate(spec: TrainingSpec, data: Store, results: Store, zip_path: Path, zip_sha256: str) -> None:
    """Check buckets and zip; raise one TrainyardError with every fault found.

    A fault that the person has to fix leads, since that one no retry fixes.
    """
    data_path, results_path = _PATHS.get(spec.family, _PATHS["wml"])
    checks: tuple[tuple[str, Callable[[], None]], ...] = (
        (data_path, lambda: _check_data(spec, data)),
        (results_path, lambda: _check_results(results)),
        ("", lambda: _check_zip(zip_path, zip_sha256)),
        ("", lambda: _check_program(spec.command, zip_path)),
    )
    faults = [(path, error) for path, check in checks if (error := _fault_of(check))]
    faults.sort(key=lambda fault: fault[1].fault is Fault.SERVICE)
    if len(faults) == 1:
        raise faults[0][1]
    if faults:
        raise TrainyardError.refused(problem for path, error in faults for problem in _problems(path, error))


def _fault_of(check: Callable[[], None]) -> TrainyardError | None:
    try:
        check()
    except TrainyardError as error:
        return error
    return None


def _problems(path: str, error: TrainyardError) -> tuple[Problem, ...]:
    return error.problems or (Problem(f"{error.message}.", error.hint, path, code=error.code.code),)


def _check_data(spec: TrainingSpec, data: Store) -> None:
    first = list(islice((entry for entry in data.list() if is_training_data(spec, entry)), 1000))
    if not first:
        raise refusal(Why.EMPTY, data.place, "read from")
    smallest = min(first, key=lambda entry: entry.size)
    read_start(data, smallest)


def _check_results(results: Store) -> None:
    # A name of its own, so that runs which are checked at the same time do not remove each other's.
    key, content, found = f"{PROBE}{secrets.token_hex(8)}", b"trainyard", io.BytesIO()
    results.put(key, io.BytesIO(content), len(content))
    results.get(key, AtMost(found, len(content), key).as_file())
    if found.getvalue() != content or key not in {entry.key for entry in results.list(key)}:
        raise refusal(Why.BROKEN, results.place, "read what was written to")
    try:
        results.delete(key)
    except StoreError as error:
        # Buckets whose objects may not be deleted for some time take results all the same.
        if error.why is not Why.FORBIDDEN:
            raise


def _check_zip(zip_path: Path, zip_sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with zip_path.open("rb") as file:
            for chunk in chunks(file, CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise TrainyardError("S301", f"the zip cannot be read: {error.strerror}", "Submit it again.") from None
    if digest.hexdigest() != zip_sha256:
        raise TrainyardError("S301", "the zip is not the one that was submitted", "Submit it again.")


def _check_program(command: str, zip_path: Path) -> None:
    try:
        with zipfile.ZipFile(zip_path) as archive:
            names = [posixpath.normpath(entry_name(info)) for info in archive.infolist()]
    except (OSError, zipfile.BadZipFile):
        return  # that the zip is damaged is another check's to tell
    if problems := missing_program(command, names):
        raise TrainyardError.refused(problems)
