"""All that can be checked of a submission without a network: manifest, zip and resources, at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from trainyard.domain.limits import Account, Limits
from trainyard.domain.plan import Plan, make_plan
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.intake.archive import ArchiveRules, check_archive
from trainyard.intake.manifest import ManifestRead, read_manifest
from trainyard.intake.program import missing_program
from trainyard.stores.addresses import ANYWHERE, AddressPolicy

T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """What a submission is held against; the longest manifest is in bytes."""

    limits: Limits
    archive: ArchiveRules
    manifest_bytes: int
    addresses: AddressPolicy = ANYWHERE

    @classmethod
    def of(cls, settings: Any, limits: Limits, addresses: AddressPolicy | None = None) -> Rules:
        """Read the rules from settings; `addresses` says otherwise than these where stores may be."""
        allowed = addresses or AddressPolicy.of(settings)
        return cls(limits, ArchiveRules.of(settings), settings.manifest_max_bytes, allowed)


def check_submission(
    manifests: Sequence[tuple[str, bytes]],
    zip_path: Path | None,
    account: Account,
    rules: Rules,
    make: Callable[[bytes, ManifestRead, Plan], T],
) -> list[T]:
    """Check manifests (name and bytes) on one zip, or without; return what `make` makes of each.

    Raise TrainyardError with every problem of all manifests, of what `make` refuses and of the zip, which is looked at
    once; a problem names its manifest where there are several. The first one's code leads.
    """
    names, zip_faults = _zip_names(zip_path, rules.archive) if zip_path else (None, [])
    faults: list[Problem] = []
    made: list[T] = []
    for name, manifest in manifests:
        found: list[Problem] = []
        one = _gather(found, partial(_made, make, manifest, names, account, rules))
        faults += [replace(fault, file=name) for fault in found] if len(manifests) > 1 else found
        made += [one] if one is not None else []
    if faults or zip_faults:
        raise TrainyardError.refused([*faults, *zip_faults])
    return made


def _made(
    make: Callable[[bytes, ManifestRead, Plan], T],
    manifest: bytes,
    names: Collection[str] | None,
    account: Account,
    rules: Rules,
) -> T:
    return make(manifest, *_check_manifest(manifest, names, account, rules))


def _zip_names(zip_path: Path, rules: ArchiveRules) -> tuple[list[str] | None, list[Problem]]:
    faults: list[Problem] = []
    entries = _gather(faults, lambda: check_archive(zip_path, rules))
    return None if entries is None else [entry.name for entry in entries], faults


def _check_manifest(
    manifest: bytes, names: Collection[str] | None, account: Account, rules: Rules
) -> tuple[ManifestRead, Plan]:
    faults: list[Problem] = []
    read = _gather(faults, lambda: _read(manifest, rules))
    plan = _gather(faults, lambda: make_plan(read.submission.spec, account, rules.limits), read) if read else None
    if read and names is not None:
        faults += missing_program(read.submission.spec.command, names)
    if faults or not read or not plan:
        raise TrainyardError.refused(faults)
    return read, plan


def _read(manifest: bytes, rules: Rules) -> ManifestRead:
    return read_manifest(manifest, rules.limits, rules.manifest_bytes, addresses=rules.addresses)


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
