"""All that can be checked of a submission without a network: manifest, zip and resources, at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from trainyard.domain.limits import Account, Limits
from trainyard.domain.plan import Plan, make_plan
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.intake.archive import ArchiveRules, check_archive
from trainyard.intake.manifest import ManifestRead, read_manifest
from trainyard.intake.program import missing_program

T = TypeVar("T")


def check_submission(
    manifest: bytes, zip_path: Path | None, account: Account, limits: Limits, rules: ArchiveRules, max_bytes: int
) -> tuple[ManifestRead, Plan]:
    """Return what a manifest says and how it would run for an account; without a zip only these are checked.

    Raise TrainyardError with every problem of manifest, zip and resources; the first one's code leads.
    """
    faults: list[Problem] = []
    read = _gather(faults, lambda: read_manifest(manifest, limits, max_bytes))
    entries = _gather(faults, lambda: check_archive(zip_path, rules)) if zip_path else None
    plan = _gather(faults, lambda: make_plan(read.submission.spec, account, limits), read) if read else None
    if read and entries is not None:
        faults += missing_program(read.submission.spec.command, [entry.name for entry in entries])
    if faults or not read or not plan:
        raise TrainyardError.refused(faults)
    return read, plan


def _gather(faults: list[Problem], check: Callable[[], T], read: ManifestRead | None = None) -> T | None:
    """Run one check; put its problems to the others, placed in the manifest where that is known."""
    try:
        return check()
    except TrainyardError as error:
        if error.fault is Fault.SERVICE:
            raise
        found = error.problems or (Problem(error.message, error.cure, code=error.code.code),)
        faults += read.located(found) if read else found
        return None
