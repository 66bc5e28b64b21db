"""Storing training definitions and experiments: checked as a whole, kept as a whole, each for one account."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from trainyard.core.accounts import Caller, account_for, may_see
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.documents.files import DocumentFiles, Kind, Stored
from trainyard.domain.documents import Definition, Experiment, Reference, new_document_id
from trainyard.domain.limits import Account, Limits
from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.composing import Keys, compose, located
from trainyard.manifest.olddocuments import DefinitionRead, ExperimentRead, Reading, examine_definition, read_experiment
from trainyard.manifest.submission import Rules, check_submission, check_with_zip
from trainyard.settings import Settings

# So that nobody fills the catalogue; each definition has a zip.
MAX_DOCUMENTS = 500
_NAMESPACE = uuid.UUID("8d0d3c1b-4f1e-4f43-9d5e-0c1f6f7a2b11")
_ACTIONS = {
    Kind.DEFINITION: (Action.STORE_DEFINITION, Action.DELETE_DEFINITION),
    Kind.EXPERIMENT: (Action.STORE_EXPERIMENT, Action.DELETE_EXPERIMENT),
}


# A training of an experiment by its number there, the manifest that says it, and its zip.
Part: TypeAlias = "tuple[int, bytes, Path]"
Placed: TypeAlias = "tuple[int, Problem]"


class DocumentVault(Protocol):
    """Keeps the credentials of documents' stores, encrypted; a side is `data` or `results`."""

    def keep(self, kind: Kind, document_id: str, stores: dict[str, tuple[StoreRef, Credentials]]) -> None: ...

    def read(self, kind: Kind, document_id: str, side: str) -> Credentials | None: ...

    def forget(self, kind: Kind, document_id: str) -> None: ...

    def ids(self) -> dict[str, Kind]: ...


@dataclass(frozen=True)
class Documents:
    """The use cases over their ports."""

    files: DocumentFiles
    vault: DocumentVault
    limits: Callable[[], Limits]
    settings: Settings
    clock: Callable[[], float]
    audit: Audit = NO_AUDIT

    def store_definition(
        self, text: bytes, zip_path: Path, account_name: str | None, caller: Caller, key: str = ""
    ) -> Stored:
        """Check a training definition with its zip and keep both.

        Raise TrainyardError with all problems of both at once; nothing is written then. The same `key` of the same
        account gets the same definition again.
        """
        with self.audit.action(caller, Action.STORE_DEFINITION, account=account_name or "") as known:
            account, rules = self._rules(account_name, caller)
            found = examine_definition(text, _reading(rules, account))
            check_with_zip(found.problems, found.command, zip_path, rules.archive)
            read = found.read
            if read is None:
                raise AssertionError("a definition that cannot be read has at least one fault")
            made = self._definition(read, account, caller, key, _sha256(zip_path))
            known.update(account=account.name, details={"id": made.id, "zip_sha256": made.zip_sha256})
            return self._kept(made, {"data": (read.definition.data, read.data)}, zip_path)

    def store_experiment(self, text: bytes, account_name: str | None, caller: Caller, key: str = "") -> Stored:
        """Check an experiment, with every training definition that it names, and keep it; raise as `store_definition`.

        Its definitions have to be the same account's.
        """
        with self.audit.action(caller, Action.STORE_EXPERIMENT, account=account_name or "") as known:
            account, rules = self._rules(account_name, caller)
            read = read_experiment(text, _reading(rules, account))
            self._check_trainings(read, account, rules)
            made = self._made(Kind.EXPERIMENT, read.experiment.name, account, caller, key)
            content, warnings = read.experiment.as_dict(), read.warnings
            made = replace(made, content=content, text=read.masked, warnings=warnings)
            known.update(account=account.name, details={"id": made.id})
            stores = {"data": (read.experiment.data, read.data), "results": (read.experiment.results, read.results)}
            return self._kept(made, stores)

    def all(self, kind: Kind, caller: Caller) -> list[Stored]:
        """Return the documents of a kind that the caller may see, the oldest first."""
        limits = self.limits()
        return [document for document in self.files.all(kind) if may_see(caller, document.account, limits)]

    def one(self, kind: Kind, document_id: str, caller: Caller) -> Stored:
        """Return a document; raise TrainyardError C107 if there is none that the caller may see."""
        found = self.files.get(kind, document_id.lower())
        if found is None or not may_see(caller, found.account, self.limits()):
            hint = f"`trainyard list {kind.value.replace('_', '-')}` shows those there are."
            raise TrainyardError("C107", f"there is no {kind.spoken} {document_id}", hint)
        return found

    def delete(self, kind: Kind, document_id: str, caller: Caller) -> None:
        """Remove a document. Runs that were made from it, and their results, stay."""
        with self.audit.action(caller, _ACTIONS[kind][1], details={"id": document_id}) as known:
            found = self.one(kind, document_id, caller)
            known.update(account=found.account)
            self.files.remove(found)
            self.vault.forget(kind, found.id)

    def manifest(self, stored: Stored, reference: Reference) -> tuple[bytes, Path]:
        """Return the manifest of one training of a stored experiment, with its credentials, and the zip.

        Raise TrainyardError C107 where its definition is not there any more.
        """
        experiment = Experiment.from_dict(stored.content)
        found = self.definition(reference, stored.account)
        if found is None:
            hint = "Store it again, and an experiment that names its new id."
            raise TrainyardError("C107", f"there is no training definition {reference.definition_id} any more", hint)
        results = self.vault.read(Kind.EXPERIMENT, stored.id, "results")
        data = self.vault.read(Kind.EXPERIMENT, stored.id, "data") if experiment.data else None
        return self._composed(experiment, reference, found, data, results)

    def definition(self, reference: Reference, account: str) -> Stored | None:
        """Return the definition that a training of an account's experiment names; None where that account has none."""
        found = self.files.get(Kind.DEFINITION, reference.definition_id)
        return found if found and found.account == account else None

    def sweep(self, before: float, dry_run: bool) -> list[str]:
        """Remove what a death left behind before a moment, or with `dry_run` only say what."""
        unfinished = self.files.unfinished()
        old = [path for path, changed in unfinished.items() if changed < before]
        kept = {document_id for kind in _ACTIONS for document_id in self.files.ids(kind)}
        fresh = {path.name.lstrip(".").partition(".")[0] for path in unfinished.keys() - set(old)}
        # Without a single document the folder may be a volume that is not mounted.
        alone = {name: kind for name, kind in self.vault.ids().items() if kept and name not in kept | fresh}
        if not dry_run:
            for path in old:
                path.unlink(missing_ok=True)
            for name, kind in alone.items():
                self.vault.forget(kind, name)
        return [*(f"document {path.name}" for path in old), *(f"connections {name}" for name in alone)]

    def _rules(self, account_name: str | None, caller: Caller) -> tuple[Account, Rules]:
        limits = self.limits()
        return account_for(caller, account_name, limits), Rules.of(self.settings, limits)

    def _definition(self, read: DefinitionRead, account: Account, caller: Caller, key: str, sha256: str) -> Stored:
        made = self._made(Kind.DEFINITION, read.definition.name, account, caller, key)
        content, warnings, version_id = read.definition.as_dict(), read.warnings, new_document_id()
        made = replace(made, content=content, text=read.masked, warnings=warnings)
        return replace(made, version_id=version_id, zip_sha256=sha256)

    def _made(self, kind: Kind, name: str, account: Account, caller: Caller, key: str) -> Stored:
        named = str(uuid.uuid5(_NAMESPACE, f"{kind}\0{account.name}\0{key}")) if key else new_document_id()
        return Stored(named, kind, account.name, caller.name, self.clock(), name)

    def _kept(
        self, made: Stored, stores: dict[str, tuple[StoreRef | None, Credentials | None]], zip_path: Path | None = None
    ) -> Stored:
        """Keep all of a document or nothing: zip, credentials, record. One with the same key is there already."""
        found = {side: (ref, keys) for side, (ref, keys) in stores.items() if ref and keys}
        with self.files.locked():
            if (known := self.files.get(made.kind, made.id)) and _same(known, made):
                return known
            self._check_room(made)
            try:
                if zip_path:
                    self.files.keep_zip(made.id, zip_path)
                self.files.prepare(made)
                self.vault.forget(made.kind, made.id)  # an earlier attempt may have died after keeping them
                self.vault.keep(made.kind, made.id, found)
                self.files.add(made)
            except BaseException:
                self.files.remove(made)
                self.vault.forget(made.kind, made.id)
                raise
        return made

    def _check_room(self, made: Stored) -> None:
        count = sum(document.account == made.account for document in self.files.all(made.kind))
        if count >= MAX_DOCUMENTS:
            kind = made.kind.value.replace("_", "-")
            hint = f"Delete some: `trainyard delete {kind} ID`."
            raise TrainyardError("C109", f"account {made.account} keeps {count} {made.kind.spoken}s, the most", hint)

    def _check_trainings(self, read: ExperimentRead, account: Account, rules: Rules) -> None:
        """Raise TrainyardError with everything that hinders a training of the experiment from being run."""
        problems: list[tuple[int, Problem]] = []
        parts: list[tuple[int, bytes, Path]] = []
        for index, reference in enumerate(read.experiment.references):
            found = self.definition(reference, account.name)
            if missing := _missing(read.experiment, reference, found, account.name):
                problems += [(index, problem) for problem in missing]
            elif found:
                parts.append((index, *self._composed(read.experiment, reference, found, read.data, read.results)))
        for same in by_zip(parts):
            problems += problems_of(same, lambda named, path: check_submission(named, path, account, rules, _nothing))
        if problems:
            placed = {(each.path, each.message): each for each in (located(p, read.document, at) for at, p in problems)}
            raise TrainyardError.refused(sorted(placed.values(), key=lambda each: (each.line or 0, each.column or 0)))

    def _composed(
        self,
        experiment: Experiment,
        reference: Reference,
        found: Stored,
        data: Credentials | None,
        results: Credentials | None,
    ) -> tuple[bytes, Path]:
        definition = Definition.from_dict(found.content)
        own = data if experiment.data else self.vault.read(Kind.DEFINITION, found.id, "data")
        _check_kept(experiment.results, results)
        _check_kept(experiment.data or definition.data, own)
        return compose(experiment, reference, definition, Keys(own, results)), self.files.zip_path(found.id)


def _reading(rules: Rules, account: Account) -> Reading:
    return Reading(rules.limits, account, rules.addresses, rules.manifest_bytes)


def _check_kept(ref: StoreRef | None, keys: Credentials | None) -> None:
    if ref and not ref.connection and keys is None:
        message = f"the credentials of bucket {ref.bucket} are not kept any more"
        raise TrainyardError("C107", message, "Store the training definition and the experiment again.")


def by_zip(parts: Sequence[Part]) -> list[list[Part]]:
    """Group trainings by their zip, so that each zip is looked at, and kept, once."""
    found: dict[Path, list[Part]] = {}
    for part in parts:
        found.setdefault(part[2], []).append(part)
    return list(found.values())


def problems_of(same: Sequence[Part], check: Callable[[list[tuple[str, bytes]], Path], object]) -> list[Placed]:
    """Return what a check of trainings on one zip refuses, each problem with the number of its training."""
    try:
        check([(str(index), manifest) for index, manifest, _ in same], same[0][2])
    except TrainyardError as error:
        if not error.problems:
            raise
        return [(int(problem.file or same[0][0]), replace(problem, file="")) for problem in error.problems]
    return []


def _nothing(*_: object) -> bool:
    return True


def _missing(experiment: Experiment, reference: Reference, found: Stored | None, account: str) -> list[Problem]:
    """Return what a training needs and is not there: its definition, or what neither of the two gives."""
    if found is None:
        message = f"account {account} has no training definition {reference.definition_id}."
        return [Problem(message, "`trainyard list training-definitions` shows those there are.")]
    definition = Definition.from_dict(found.content)
    needed = {
        "command": reference.command or definition.command,
        "compute_configuration": reference.compute or definition.compute,
        "training_data_reference": experiment.data or definition.data,
    }
    return [
        Problem(f"{name} is missing: neither the experiment nor its definition has it.", f"Add {name}.")
        for name, given in needed.items()
        if not given
    ]


def _same(known: Stored, made: Stored) -> bool:
    """Say that a key stands for this document; raise TrainyardError C108 if it was used for another one."""
    if (known.text, known.zip_sha256) != (made.text, made.zip_sha256):
        message = "this idempotency key was used for another document"
        raise TrainyardError("C108", message, "Use a new key for each document.")
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
