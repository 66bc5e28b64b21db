"""From a submission to registered trainings: checked as a whole, kept as a whole, and once for each key."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trainyard.core.accounts import Caller, account_for
from trainyard.core.addressbook import AddressBook
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.checkedmanifest import APART_SECONDS, CheckedManifest, checked_manifest
from trainyard.core.idempotency import Claim, claimed
from trainyard.core.schedules import Schedules
from trainyard.core.search.trials import trial_id
from trainyard.core.secrets import missing_secrets, missing_sentence
from trainyard.core.trainingwriter import TrainingWriter, Vault
from trainyard.domain.codeversion import CodeVersion
from trainyard.domain.earlier import NOTHING_EARLIER
from trainyard.domain.limits import Account, Limits
from trainyard.domain.plan import sizes_for
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.manifest.faults import Faults
from trainyard.manifest.grid import MAX_RUNS, Grid
from trainyard.manifest.masking import MASK
from trainyard.manifest.reading import ManifestRead
from trainyard.manifest.submission import Rules, check_submission
from trainyard.manifest.variables import SECRETS
from trainyard.settings import Settings

MAX_EXPERIMENT_LENGTH = 80
NO_GRID = Grid({})


@dataclass(frozen=True)
class Registration:
    """The use case over its ports; `sync_pools` makes the accounts' pools as large as the quotas say, `is_kept`
    says whether somebody keeps a secret of a name.
    """

    catalogue: Catalogue
    schedules: Schedules
    vault: Vault
    limits: Callable[[], Limits]
    settings: Settings
    clock: Callable[[], float]
    sync_pools: Callable[[Limits], None]
    audit: Audit = NO_AUDIT
    is_kept: Callable[[Holder, str], bool] = lambda _holder, _name: True
    find_store: Callable[[str, str, str], str | None] = lambda _user, _account, _name: None

    def submit(
        self, manifest: bytes, zip_path: Path, account_name: str | None, caller: Caller, origin: str = ""
    ) -> Training:
        """Check a submission and register it as a training whose first run starts by itself.

        Raise TrainyardError with all problems of manifest, zip and resources at once; nothing is written then.
        """
        return self.submit_all([("", manifest)], zip_path, account_name, caller, origin=origin)[0]

    def submit_all(
        self,
        manifests: Sequence[tuple[str, bytes]],
        zip_path: Path | None,
        account_name: str | None,
        caller: Caller,
        experiment: str = "",
        grid: Grid = NO_GRID,
        origin: str = "",
        code: CodeVersion | None = None,
        earlier: Training | None = None,
    ) -> list[Training]:
        """Check several manifests (name and bytes) on one zip and register a training for each, a run a point.

        Raise TrainyardError with all problems of all manifests, each with its manifest's name where there are several.
        All trainings are registered or none. With an `origin`, a key that the caller chose, they are registered once:
        the same key of the same account gets the same trainings again, whatever died in between.

        They may start from an `earlier` training, one that the caller may see: without a zip they have that one's, and
        what is masked in the manifests is taken from it where store and account are the same. Raise C107 where its zip
        is not kept any more.
        """
        began, noted = self.clock(), {"idempotency_key": origin, "experiment": experiment}
        if earlier:
            noted["from"] = earlier.id
        with self.audit.refusals(caller, Action.SUBMIT, account=account_name or "", details=noted):
            code = earlier.code if earlier and not zip_path else code
            zip_path = zip_path or self._zip_of(earlier)
            made = self._submitted(manifests, zip_path, account_name, caller, experiment, grid, origin, code, earlier)
        for training in made:
            again = {"repeated": True} if training.submitted_at < began else {"zip_sha256": training.zip_sha256}
            for model_id in training.first_runs:
                ids = {"account": training.account, "training": training.id, "run": model_id}
                self.audit.record(caller, Action.SUBMIT, **ids, details={**noted, **again})
        return made

    def check(self, manifests: Sequence[tuple[str, bytes]], zip_path: Path, account_name: str, caller: Caller) -> None:
        """Raise TrainyardError as `submit_all` would for these manifests, and register nothing."""
        limits = self.limits()
        account = account_for(caller, account_name, limits)
        check = partial(checked_manifest, NO_GRID, partial(self._check_secrets, caller.name, account.name))
        check_submission(manifests, zip_path, account, self._rules(limits, caller, account), check)

    def _submitted(
        self,
        manifests: Sequence[tuple[str, bytes]],
        zip_path: Path,
        account_name: str | None,
        caller: Caller,
        experiment: str,
        grid: Grid,
        origin: str,
        code: CodeVersion | None,
        earlier: Training | None,
    ) -> list[Training]:
        _check_experiment(experiment, len(manifests) * grid.size)
        limits = self.limits()
        account = account_for(caller, account_name, limits)
        with claimed(self.catalogue.folder, account.name, origin) if origin else nullcontext() as claim:
            known = self._known(claim) if claim else []
            if known:
                return known
            check = partial(checked_manifest, grid, partial(self._check_secrets, caller.name, account.name))
            rules = self.rules(limits, caller, account, earlier)
            checked = check_submission(manifests, zip_path, account, rules, check)
            made = self._made(checked, zip_path, account, limits, caller, experiment, code)
            parts = list(zip(made, checked, strict=True))
            if claim:
                parts = self._claimed(claim, parts, origin)
                made = [training for training, _ in parts]
            self.sync_pools(limits)
            TrainingWriter(self.catalogue, self.schedules, self.vault).add(parts, zip_path)
            if claim:
                claim.finish()
                return self._known(claim)
            return made

    def rules(self, limits: Limits, caller: Caller, account: Account, earlier: Training | None = None) -> Rules:
        """Return what a submission is held against; one from an `earlier` training takes nothing to another account."""
        names = AddressBook.beside(self.catalogue).names(caller.name, account.name)
        masked = self.vault.read(earlier) if earlier and earlier.account == account.name else NOTHING_EARLIER
        return replace(self._rules(limits, caller, account, names), earlier=masked)

    def _zip_of(self, earlier: Training | None) -> Path:
        if earlier is None:
            raise TrainyardError("C110", "no zip is given", "Send the program's zip, or name the run to start from.")
        path = self.catalogue.zip_path(earlier.id)
        if not path.exists():
            raise TrainyardError("C107", f"the zip of {earlier.id} is not kept any more", "Send the program's zip.")
        return path

    def _rules(self, limits: Limits, caller: Caller, account: Account, names: Collection[str] | None = None) -> Rules:
        rules = Rules.of(self.settings, limits, names=names)
        return replace(rules, find_store=partial(self.find_store, caller.name, account.name))

    def _check_secrets(self, user: str, account: str, read: ManifestRead) -> None:
        """Raise TrainyardError C116 with every secret that a run of this user would not be given."""
        names = read.submission.spec.secrets
        faults, places = Faults(read.document), list(read.document.value(SECRETS) or ())
        for name in missing_secrets(names, user, account, self.is_kept):
            faults.add((*SECRETS, places.index(name)), *missing_sentence(name, user, account), "C116")
        faults.raise_any()

    def _made(
        self,
        checked: list[CheckedManifest],
        zip_path: Path,
        account: Account,
        limits: Limits,
        caller: Caller,
        experiment: str,
        code: CodeVersion | None,
    ) -> list[Training]:
        common = {
            "account": account.name,
            "owner": caller.name,
            "zip_sha256": _sha256(zip_path),
            "experiment": experiment,
            "code": code.masked(_secrets(checked), MASK) if code else None,
        }
        now, before = self.clock(), itertools.accumulate((one.count for one in checked), initial=0)
        return [
            one.training(
                now + number * APART_SECONDS, common | {"sizes": sizes_for(account, limits, one.plan.learners)}
            )
            for one, number in zip(checked, before, strict=False)
        ]

    def _known(self, claim: Claim) -> list[Training]:
        """Return the trainings of a claim if all were registered; those that were deleted since are left out."""
        found = [training for training in map(self.catalogue.get, claim.ids) if training]
        if not claim.done and len(found) == len(claim.ids) > 0:
            claim.finish()
        return found if claim.done else []

    def _claimed(
        self, claim: Claim, parts: list[tuple[Training, CheckedManifest]], origin: str
    ) -> list[tuple[Training, CheckedManifest]]:
        """Give trainings the ids that are claimed for them; return what is not registered yet.

        Raise TrainyardError C108 if the key was used for another submission.
        """
        if claim.done or not claim.ids:
            claim.take([training.id for training, _ in parts])
        if len(claim.ids) != len(parts):
            message = "this idempotency key was used for another submission"
            raise TrainyardError("C108", message, "Use a new key for each submission.")
        named = [(_renamed(part[0], known, origin), part[1]) for part, known in zip(parts, claim.ids, strict=True)]
        missing = [part for part in named if not self.catalogue.get(part[0].id)]
        for training, _ in missing:
            self.vault.forget(training.id)  # an earlier attempt may have died after keeping them
        return missing


def _renamed(training: Training, known: str, origin: str) -> Training:
    runs = tuple(trial_id(known, number) for number in range(len(training.runs)))
    return replace(training, id=known, origin=origin, runs=runs)


def _secrets(checked: Sequence[CheckedManifest]) -> set[str]:
    """Return the credentials of all manifests: whoever writes them into a file has them in its diff."""
    submissions = [one.read.submission for one in checked]
    both = [side for one in submissions for side in (one.data_credentials, one.results_credentials) if side]
    return {text for each in both for text in (each.user, each.secret)}


def _check_experiment(name: str, runs: int) -> None:
    if not 1 <= runs <= MAX_RUNS:
        hint = f"Submit 1 to {MAX_RUNS} runs at a time."
        raise TrainyardError("C110", f"manifests and values to set make {runs} runs", hint)
    if len(name) > MAX_EXPERIMENT_LENGTH or not name.isprintable() or name != name.strip():
        hint = f"Use at most {MAX_EXPERIMENT_LENGTH} characters that can be printed, no blank at either end."
        raise TrainyardError("C110", "no experiment can have this name", hint)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
