"""All that can be checked of a submission without a network: manifest, zip and resources, at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from trainyard.domain.addresses import ANYWHERE, AddressPolicy
from trainyard.domain.earlier import NOTHING_EARLIER, Earlier
from trainyard.domain.limits import Account, Limits
from trainyard.domain.notification import ANYBODY, Notifying
from trainyard.domain.ownstores import FindStore
from trainyard.domain.plan import Plan, make_plan, plan_problems
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.manifest.archive import ArchiveEntry, ArchiveRules, check_archive
from trainyard.manifest.program import missing_program, script_problems, script_warnings
from trainyard.manifest.reading import ManifestRead, examine_manifest
from trainyard.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Rules:
    """What a submission is held against; the longest manifest is in bytes."""

    limits: Limits
    archive: ArchiveRules
    manifest_bytes: int
    addresses: AddressPolicy = ANYWHERE
    notifying: Notifying = ANYBODY
    find_store: FindStore = lambda _: None
    earlier: Earlier = NOTHING_EARLIER

    @classmethod
    def of(
        cls,
        settings: Settings,
        limits: Limits,
        addresses: AddressPolicy | None = None,
        names: Collection[str] | None = None,
    ) -> Rules:
        """Read the rules from settings; `addresses` says otherwise than these where stores may be.

        `names` are those of the addresses that manifests may notify, None where only the service knows them.
        """
        allowed = addresses or AddressPolicy.of(settings)
        notifying = Notifying(names, names is None or bool(settings.mail_connection))
        return cls(limits, ArchiveRules.of(settings), settings.manifest_max_bytes, allowed, notifying)


def check_submission(
    manifests: Sequence[tuple[str, bytes]],
    zip_path: Path | None,
    account: Account,
    rules: Rules,
    make: Callable[[ManifestRead, Plan], T],
) -> list[T]:
    """Check manifests (name and bytes) on one zip, or without; return what `make` makes of each.

    Raise TrainyardError with every problem of all manifests, of what `make` refuses and of the zip, which is looked at
    once; a problem names its manifest where there are several. The first one's code leads.
    """
    entries, zip_faults = _zip_entries(zip_path, rules.archive) if zip_path else (None, [])
    faults: list[Problem] = []
    made: list[T] = []
    for name, manifest in manifests:
        found: list[Problem] = []
        one = _gather(found, partial(_made, make, manifest, entries, account, rules))
        faults += [replace(fault, file=name) for fault in found] if len(manifests) > 1 else found
        made += [one] if one is not None else []
    if faults or zip_faults:
        raise TrainyardError.refused([*faults, *zip_faults])
    return made


def check_with_zip(problems: Sequence[Problem], command: str | None, zip_path: Path, archive: ArchiveRules) -> None:
    """Raise TrainyardError with every problem of a document, its zip, and of both together, if there are any."""
    entries, zip_faults = _zip_entries(zip_path, archive)
    if found := [*problems, *_program_problems(command, entries), *zip_faults]:
        raise TrainyardError.refused(found)


def _made(
    make: Callable[[ManifestRead, Plan], T],
    manifest: bytes,
    entries: Collection[ArchiveEntry] | None,
    account: Account,
    rules: Rules,
) -> T:
    return make(*_check_manifest(manifest, entries, account, rules))


def _zip_entries(zip_path: Path, rules: ArchiveRules) -> tuple[tuple[ArchiveEntry, ...] | None, list[Problem]]:
    faults: list[Problem] = []
    return _gather(faults, lambda: check_archive(zip_path, rules)), faults


def _check_manifest(
    manifest: bytes, entries: Collection[ArchiveEntry] | None, account: Account, rules: Rules
) -> tuple[ManifestRead, Plan]:
    """Check one manifest; what is wrong with one part of it hides nothing of the others."""
    given: dict[str, Any] = {"addresses": rules.addresses, "account": account, "notifying": rules.notifying}
    given |= {"find_store": rules.find_store, "earlier": rules.earlier}
    found = examine_manifest(manifest, rules.limits, rules.manifest_bytes, **given)
    ours = plan_problems(found.framework, found.resources, account, rules.limits)
    faults = [*found.problems, *found.unreported(ours), *_program_problems(found.command, entries)]
    if faults or found.read is None:
        raise TrainyardError.refused(faults)
    read = found.read
    if warnings := script_warnings(read.submission.spec.command, entries or ()):
        submission = replace(read.submission, warnings=(*read.submission.warnings, *warnings))
        read = replace(read, submission=submission)
    return read, make_plan(read.submission.spec, account, rules.limits)


def _program_problems(command: str | None, entries: Collection[ArchiveEntry] | None) -> list[Problem]:
    if command is None or entries is None:
        return []
    return [*missing_program(command, [entry.name for entry in entries]), *script_problems(command, entries)]


def _gather(faults: list[Problem], check: Callable[[], T]) -> T | None:
    """Run one check; put its problems to the others."""
    try:
        return check()
    except TrainyardError as error:
        if error.fault is Fault.SERVICE:
            raise
        faults += error.problems or (Problem(error.message, error.hint, code=error.code.code),)
        return None
