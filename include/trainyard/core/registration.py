"""From a submission to registered trainings: checked as a whole, kept as a whole, and once for each key."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from trainyard.core.accounts import Caller, account_for
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.idempotency import Claim, claimed
from trainyard.core.schedules import Entry, Schedules
from trainyard.domain.codeversion import CodeVersion
from trainyard.domain.hyperparameters import Value
from trainyard.domain.limits import Account, Limits
from trainyard.domain.names import new_model_id
from trainyard.domain.plan import Plan, sizes_for
from trainyard.domain.schedule import Progress
from trainyard.domain.training import Submission
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.grid import MAX_RUNS, Grid, annotated, spec_with
from trainyard.manifest.masking import MASK
from trainyard.manifest.reading import ManifestRead
from trainyard.manifest.submission import Rules, check_submission
from trainyard.settings import Settings

_MAX_EXPERIMENT_LENGTH = 80
NO_GRID = Grid({})


class Vault(Protocol):
    """Keeps the credentials of a training's two stores, encrypted."""

    def keep(self, training_id: str, submission: Submission) -> None: ...

    def forget(self, training_id: str) -> None: ...


@dataclass(frozen=True)
class _Checked:
    """One manifest without a fault: its plan, its masked text, and the hyperparameters to set for each of its runs."""

    read: ManifestRead
    plan: Plan
    text: str
    points: list[dict[str, Value]]

    def training(self, point: Mapping[str, Value], submitted_at: float, common: Mapping[str, Any]) -> Training:
        return Training(
            id=new_model_id(),
            submitted_at=submitted_at,
            spec=spec_with(self.read.submission.spec, point),
            plan=self.plan,
            manifest=annotated(self.text, point),
            warnings=self.read.submission.warnings,
            settings=point,
            **common,
        )


@dataclass(frozen=True)
class Registration:
    """The use case over its ports; `sync_pools` makes the accounts' pools as large as the quotas say."""

    catalogue: Catalogue
    schedules: Schedules
    vault: Vault
    limits: Callable[[], Limits]
    settings: Settings
    clock: Callable[[], float]
    sync_pools: Callable[[Limits], None]
    audit: Audit = NO_AUDIT

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
        zip_path: Path,
        account_name: str | None,
        caller: Caller,
        experiment: str = "",
        grid: Grid = NO_GRID,
        origin: str = "",
        code: CodeVersion | None = None,
    ) -> list[Training]:
        """Check several manifests (name and bytes) on one zip and register one training for each point of the grid.

        Raise TrainyardError with all problems of all manifests, each with its manifest's name where there are several.
        All trainings are registered or none. With an `origin`, a key that the caller chose, they are registered once:
        the same key of the same account gets the same trainings again, whatever died in between.
        """
        began, noted = self.clock(), {"idempotency_key": origin, "experiment": experiment}
        with self.audit.refusals(caller, Action.SUBMIT, account=account_name or "", details=noted):
            made = self._submitted(manifests, zip_path, account_name, caller, experiment, grid, origin, code)
        for training in made:
            again = {"repeated": True} if training.submitted_at < began else {"zip_sha256": training.zip_sha256}
            ids = {"account": training.account, "training": training.id, "run": training.id}
            self.audit.record(caller, Action.SUBMIT, **ids, details={**noted, **again})
        return made

    def check(self, manifests: Sequence[tuple[str, bytes]], zip_path: Path, account_name: str, caller: Caller) -> None:
        """Raise TrainyardError as `submit_all` would for these manifests, and register nothing."""
        limits = self.limits()
        account = account_for(caller, account_name, limits)
        check_submission(manifests, zip_path, account, Rules.of(self.settings, limits), partial(_checked, NO_GRID))

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
    ) -> list[Training]:
        _check_experiment(experiment, len(manifests) * grid.size)
        limits = self.limits()
        account = account_for(caller, account_name, limits)
        with claimed(self.catalogue.folder, account.name, origin) if origin else nullcontext() as claim:
            known = self._known(claim) if claim else []
            if known:
                return known
            check = partial(_checked, grid)
            checked = check_submission(manifests, zip_path, account, Rules.of(self.settings, limits), check)
            made = self._made(checked, zip_path, account, limits, caller, experiment, code)
            submissions = [one.read.submission for one in checked for _ in one.points]
            if claim:
                made, submissions = self._claimed(claim, made, submissions, origin)
            self.sync_pools(limits)
            self._register(made, zip_path, submissions)
            if claim:
                claim.finish()
                return self._known(claim)
            return made

    def _made(
        self,
        checked: list[_Checked],
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
            "sizes": sizes_for(account, limits),
        }
        # A millisecond apart, so that the list has them in this order.
        moments = (self.clock() + number / 1000 for number in itertools.count())
        return [one.training(point, next(moments), common) for one in checked for point in one.points]

    def _known(self, claim: Claim) -> list[Training]:
        """Return the trainings of a claim if all were registered; those that were deleted since are left out."""
        found = [training for training in map(self.catalogue.get, claim.ids) if training]
        if not claim.done and len(found) == len(claim.ids) > 0:
            claim.finish()
        return found if claim.done else []

    def _claimed(
        self, claim: Claim, made: list[Training], submissions: list[Submission], origin: str
    ) -> tuple[list[Training], list[Submission]]:
        """Give trainings the ids that are claimed for them; return what is not registered yet.

        Raise TrainyardError C108 if the key was used for another submission.
        """
        if claim.done or not claim.ids:
            claim.take([training.id for training in made])
        if len(claim.ids) != len(made):
            message = "this idempotency key was used for another submission"
            raise TrainyardError("C108", message, "Use a new key for each submission.")
        named = [replace(training, id=known, origin=origin) for training, known in zip(made, claim.ids, strict=True)]
        missing = [pair for pair in zip(named, submissions, strict=True) if not self.catalogue.get(pair[0].id)]
        for training, _ in missing:
            self.vault.forget(training.id)  # an earlier attempt may have died after keeping them
        return [training for training, _ in missing], [submission for _, submission in missing]

    def _register(self, trainings: Sequence[Training], zip_path: Path, submissions: Sequence[Submission]) -> None:
        """Keep all of all trainings, or nothing: credentials of nobody's training would stay for ever."""
        first = trainings[0]
        try:
            self.catalogue.keep_zip(first.id, zip_path)
            for training, submission in zip(trainings, submissions, strict=True):
                if training is not first:
                    self.catalogue.share_zip(training.id, first.id)
                self.vault.keep(training.id, submission)
                self._schedule(training)
            self.catalogue.add(*trainings)
        except BaseException:
            for training in trainings:
                self.catalogue.remove(training.id)
                self.vault.forget(training.id)
                self.schedules.remove(training.id)
            raise

    def _schedule(self, training: Training) -> None:
        if training.spec.schedule:
            self.schedules.keep(Entry(training.id, training.spec.schedule, Progress(training.submitted_at)))


def _checked(grid: Grid, read: ManifestRead, plan: Plan) -> _Checked:
    if read.submission.spec.search:
        line = read.document.position(("search",)) or (None, None)
        hint = "Remove search, and hand in several values with `trainyard train --set NAME=1,2,3`."
        raise TrainyardError.refused([Problem("this service does not run searches.", hint, "search", *line)])
    return _Checked(read, plan, read.masked, grid.points(read.submission.spec))


def _secrets(checked: Sequence[_Checked]) -> set[str]:
    """Return the credentials of all manifests: whoever writes them into a file has them in its diff."""
    submissions = [one.read.submission for one in checked]
    both = [side for one in submissions for side in (one.data_credentials, one.results_credentials) if side]
    return {text for each in both for text in (each.user, each.secret)}


def _check_experiment(name: str, runs: int) -> None:
    if not 1 <= runs <= MAX_RUNS:
        hint = f"Hand in 1 to {MAX_RUNS} runs at a time."
        raise TrainyardError("C110", f"manifests and values to set make {runs} runs", hint)
    if len(name) > _MAX_EXPERIMENT_LENGTH or not name.isprintable() or name != name.strip():
        hint = f"Use at most {_MAX_EXPERIMENT_LENGTH} characters that can be printed, no blank at either end."
        raise TrainyardError("C110", "no experiment can have this name", hint)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
