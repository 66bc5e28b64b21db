"""What the service does for its callers: submit, list, show, cancel, delete. Ports come in as arguments."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from trainyard.catalogue import Catalogue, Training
from trainyard.claims import Claim, claimed, give_up
from trainyard.domain.hyperparameters import Value
from trainyard.domain.limits import Account, Limits
from trainyard.domain.names import new_model_id
from trainyard.domain.outcome import Outcome
from trainyard.domain.plan import Plan, sizes_for
from trainyard.domain.states import Phase, State
from trainyard.domain.training import Submission
from trainyard.domain.waiting import waits_for
from trainyard.errors import Problem, TrainyardError
from trainyard.intake.archive import ArchiveRules
from trainyard.intake.grid import MOST_RUNS, Grid, noted, spec_with
from trainyard.intake.manifest import ManifestRead, masked_manifest
from trainyard.intake.submission import check_submission
from trainyard.stores.base import Store
from trainyard.stores.below import Below


@dataclass(frozen=True)
class Caller:
    """Who is asking, as Airflow's auth manager says. An admin may use and see every account."""

    name: str
    admin: bool = False


@dataclass(frozen=True)
class Run:
    """One run as people see it. Times are seconds since the epoch."""

    model_id: str
    training_id: str
    name: str
    account: str
    framework: str
    gpus: int
    phase: Phase
    submitted_at: float
    running_at: float | None = None
    finished_at: float | None = None
    outcome: Outcome | None = None
    experiment: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> State:
        if self.phase is Phase.DONE and self.outcome:
            return self.outcome.state
        return self.phase.state or State.RUNNING

    @property
    def waiting(self) -> str:
        return waits_for(self.phase, self.gpus)


@dataclass(frozen=True)
class Filter:
    """Which runs are asked for; what is not given does not matter.

    `name` is a part of the run's name and `framework` a name, with its version or without, both in any case;
    `experiment` is exact; `since` is in seconds since the epoch and includes that very moment.
    """

    states: frozenset[State] = frozenset()
    name: str = ""
    experiment: str = ""
    framework: str = ""
    since: float | None = None

    def takes(self, training: Training) -> bool:
        """Say whether the runs of a training are asked for, as far as the training alone tells."""
        spec = training.spec
        frameworks = (spec.framework.name.casefold(), str(spec.framework).casefold())
        return (
            self.name.casefold() in spec.name.casefold()
            and self.experiment in ("", training.experiment)
            and (not self.framework or self.framework.casefold() in frameworks)
        )

    @property
    def asks_trainings(self) -> bool:
        return bool(self.name or self.experiment or self.framework)


class Vault(Protocol):
    """Keeps the credentials of a training's two stores, encrypted."""

    def keep(self, training_id: str, submission: Submission) -> None: ...

    def forget(self, training_id: str) -> None: ...


class History(Protocol):
    """The runs there are and were."""

    def page(
        self, trainings: Iterable[str] | None, limit: int, offset: int, states: frozenset[State], since: float | None
    ) -> tuple[Sequence[Run], int]: ...

    def find(self, model_id: str) -> Run | None: ...

    def cancel(self, run: Run, caller: str) -> None: ...

    def is_last(self, run: Run) -> bool: ...

    def forget(self, run: Run) -> bool: ...


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
            manifest=noted(self.text, point),
            warnings=self.read.submission.warnings,
            **common,
        )


_LONGEST_EXPERIMENT = 80
_ANY = Filter()
_NO_GRID = Grid({})


@dataclass(frozen=True)
class Service:
    """The use cases.

    `forget_files` removes what a deleted run left in the workspace; `results_of` opens a training's results bucket;
    `pod_waits` tells what the pod of a run waits for, empty where nobody knows.
    """

    catalogue: Catalogue
    vault: Vault
    history: History
    limits: Callable[[], Limits]
    settings: Any
    clock: Callable[[], float]
    prepare_pools: Callable[[Limits], None]
    forget_files: Callable[[str], None]
    results_of: Callable[[Training], Store]
    pod_waits: Callable[[str], str]

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
        grid: Grid = _NO_GRID,
        origin: str = "",
    ) -> list[Training]:
        """Check several manifests (name and bytes) on one zip and register one training for each point of the grid.

        Raise TrainyardError with all problems of all manifests, each with its manifest's name where there are several.
        All trainings are registered or none. With an `origin`, a key that the caller chose, they are registered once:
        the same key of the same account gets the same trainings again, whatever died in between.
        """
        _check_experiment(experiment, len(manifests) * grid.size)
        limits = self.limits()
        account = account_for(caller, account_name, limits)
        with claimed(self.catalogue.folder, account.name, origin) if origin else nullcontext() as claim:
            known = self._known(claim) if claim else []
            if known:
                return known
            checked = self._checked(manifests, zip_path, account, limits, grid)
            made = self._made(checked, zip_path, account, limits, caller, experiment)
            submissions = [one.read.submission for one in checked for _ in one.points]
            if claim:
                made, submissions = self._claimed(claim, made, submissions, origin)
            self.prepare_pools(limits)
            self._register(made, zip_path, submissions)
            if claim:
                claim.finish()
                return self._known(claim)
            return made

    def _made(
        self, checked: list[_Checked], zip_path: Path, account: Account, limits: Limits, caller: Caller, experiment: str
    ) -> list[Training]:
        common = {
            "account": account.name,
            "owner": caller.name,
            "zip_sha256": _sha256(zip_path),
            "experiment": experiment,
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

    def _checked(
        self, manifests: Sequence[tuple[str, bytes]], zip_path: Path, account: Account, limits: Limits, grid: Grid
    ) -> list[_Checked]:
        rules, most = ArchiveRules.of(self.settings), self.settings.manifest_max_bytes
        faults: list[Problem] = []
        checked: list[_Checked] = []
        for name, manifest in manifests:
            try:
                read, plan = check_submission(manifest, zip_path, account, limits, rules, most)
                checked.append(_Checked(read, plan, masked_manifest(manifest), grid.points(read.submission.spec)))
            except TrainyardError as error:
                if not error.problems:
                    raise
                faults += [replace(fault, file=name) if len(manifests) > 1 else fault for fault in error.problems]
        if faults:
            raise TrainyardError.refused(faults)
        return checked

    def _register(self, trainings: Sequence[Training], zip_path: Path, submissions: Sequence[Submission]) -> None:
        """Keep all of all trainings, or nothing: credentials of nobody's training would stay for ever."""
        first = trainings[0]
        try:
            self.catalogue.keep_zip(first.id, zip_path)
            for training, submission in zip(trainings, submissions, strict=True):
                if training is not first:
                    self.catalogue.share_zip(training.id, first.id)
                self.vault.keep(training.id, submission)
            self.catalogue.add(*trainings)
        except BaseException:
            for training in trainings:
                self.catalogue.remove(training.id)
                self.vault.forget(training.id)
            raise

    def runs(self, caller: Caller, limit: int, offset: int, wanted: Filter = _ANY) -> tuple[Sequence[Run], int]:
        """Return a page of the wanted runs that the caller may see, oldest first, and how many there are in all."""
        return self.history.page(self._visible(caller, wanted), limit, offset, wanted.states, wanted.since)

    def run(self, model_id: str, caller: Caller) -> Run:
        """Return one run; raise TrainyardError C107 if there is none that the caller may see."""
        run = self.history.find(model_id)
        if run is None or not _may_see(caller, run.account, self.limits()):
            cure = "`trainyard list` shows the runs there are; finished ones leave it after the retention time."
            raise TrainyardError("C107", f"there is no run {model_id}", cure)
        return run

    def waiting(self, run: Run) -> str:
        """Say what a run waits for before its program runs; empty where it waits for nothing."""
        told = self.pod_waits(run.model_id) if run.phase is Phase.WAITING_FOR_GPU else ""
        return told or run.waiting

    def stored(self, model_id: str, caller: Caller) -> Store:
        """Open what a run has in its results bucket, with names below the run's folder."""
        run = self.run(model_id, caller)
        training = self.catalogue.get(run.training_id)
        if training is None:
            raise TrainyardError("C107", f"there is no run {model_id} any more", "Its results are still in the bucket.")
        return Below(self.results_of(training), f"{run.model_id}/")

    def cancel(self, model_id: str, caller: Caller) -> Run:
        """Stop a run; raise C108 if it has ended already. What it has made so far is still stored."""
        run = self.run(model_id, caller)
        if run.state.terminal:
            raise TrainyardError("C108", f"{model_id} has ended already: {run.state}", "There is nothing to cancel.")
        self.history.cancel(run, caller.name)
        return self.run(model_id, caller)

    def delete(self, model_id: str, caller: Caller) -> None:
        """Remove a finished run from the history; raise C108 while it is going. The bucket is left alone."""
        run = self.run(model_id, caller)
        if not run.state.terminal:
            raise TrainyardError("C108", f"{model_id} is still going: {run.phase}", "Cancel it first, then delete it.")
        self.forget(run)

    def forget(self, run: Run) -> bool:
        """Remove a run that has ended, and with its last run the training; return whether that went too.

        The record goes before the history: a training with a record and without a run would be trained again.
        """
        last = self.history.is_last(run)
        if last:
            self._forget(run.training_id)
        self.history.forget(run)
        self.forget_files(run.model_id)
        return last

    def _forget(self, training_id: str) -> None:
        """Remove a training; once all trainings of an idempotency key are gone, the key is free again."""
        training = self.catalogue.get(training_id)
        self.catalogue.remove(training_id)
        self.vault.forget(training_id)
        if training and training.origin:
            with claimed(self.catalogue.folder, training.account, training.origin) as claim:
                if not any(self.catalogue.get(other) for other in claim.ids):
                    give_up(self.catalogue.folder, training.account, training.origin)

    def _visible(self, caller: Caller, wanted: Filter) -> set[str] | None:
        """Return the trainings whose runs may be listed, None for all: then no record has to be looked at."""
        mine = {account.name for account in self.limits().accounts_of(caller.name)}
        if caller.admin and not wanted.asks_trainings:
            return None
        records = filter(None, map(self.catalogue.get, self.catalogue.ids()))
        return {record.id for record in records if (caller.admin or record.account in mine) and wanted.takes(record)}


def account_for(caller: Caller, name: str | None, limits: Limits) -> Account:
    """Find the account that pays: the one named, else the caller's first.

    Raise TrainyardError C106 when the caller is not a member, with the accounts that are open to them.
    """
    mine = list(limits.accounts.values()) if caller.admin else limits.accounts_of(caller.name)
    names = ", ".join(account.name for account in mine)
    if not mine:
        raise TrainyardError("C106", f"{caller.name} is a member of no account", "Ask who keeps quotas.yaml.")
    if name is None:
        return mine[0]
    found = next((account for account in mine if account.name == name), None)
    if found is None:
        raise TrainyardError("C106", f"{caller.name} is no member of an account {name}", f"Use one of {names}.")
    return found


def _check_experiment(name: str, runs: int) -> None:
    if not 1 <= runs <= MOST_RUNS:
        cure = f"Hand in 1 to {MOST_RUNS} runs at a time."
        raise TrainyardError("C110", f"manifests and values to set make {runs} runs", cure)
    if len(name) > _LONGEST_EXPERIMENT or not name.isprintable() or name != name.strip():
        cure = f"Use at most {_LONGEST_EXPERIMENT} characters that can be printed, no blank at either end."
        raise TrainyardError("C110", "no experiment can have this name", cure)


def _may_see(caller: Caller, account: str, limits: Limits) -> bool:
    return caller.admin or any(mine.name == account for mine in limits.accounts_of(caller.name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
