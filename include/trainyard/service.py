"""What the service does for its callers: submit, list, show, cancel, delete. Ports come in as arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trainyard.catalogue import Catalogue, Training
from trainyard.domain.limits import Account, Limits
from trainyard.domain.names import new_model_id
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase, State
from trainyard.domain.training import Submission
from trainyard.errors import TrainyardError
from trainyard.intake.archive import ArchiveRules
from trainyard.intake.manifest import masked_manifest
from trainyard.intake.submission import check_submission


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

    @property
    def state(self) -> State:
        if self.phase is Phase.DONE and self.outcome:
            return self.outcome.state
        return self.phase.state or State.RUNNING


class Vault(Protocol):
    """Keeps the credentials of a training's two stores, encrypted."""

    def keep(self, training_id: str, submission: Submission) -> None: ...

    def forget(self, training_id: str) -> None: ...


class History(Protocol):
    """The runs there are and were."""

    def page(self, trainings: Iterable[str] | None, limit: int, offset: int) -> tuple[Sequence[Run], int]: ...

    def find(self, model_id: str) -> Run | None: ...

    def cancel(self, run: Run, caller: str) -> None: ...

    def forget(self, run: Run) -> bool: ...


@dataclass(frozen=True)
class Service:
    """The use cases. `forget_files` removes what a deleted run left in the workspace."""

    catalogue: Catalogue
    vault: Vault
    history: History
    limits: Callable[[], Limits]
    settings: Any
    clock: Callable[[], float]
    prepare_pools: Callable[[Limits], None]
    forget_files: Callable[[str], None]

    def submit(self, manifest: bytes, zip_path: Path, account_name: str | None, caller: Caller) -> Training:
        """Check a submission and register it as a training whose first run starts by itself.

        Raise TrainyardError with all problems of manifest, zip and resources at once; nothing is written then.
        """
        limits = self.limits()
        account = account_for(caller, account_name, limits)
        rules, most = ArchiveRules.of(self.settings), self.settings.manifest_max_bytes
        read, plan = check_submission(manifest, zip_path, account, limits, rules, most)
        training = Training(
            id=new_model_id(),
            account=account.name,
            owner=caller.name,
            submitted_at=self.clock(),
            spec=read.submission.spec,
            plan=plan,
            zip_sha256=_sha256(zip_path),
            manifest=masked_manifest(manifest),
            warnings=read.submission.warnings,
        )
        self.prepare_pools(limits)
        self._register(training, zip_path, read.submission)
        return training

    def _register(self, training: Training, zip_path: Path, submission: Submission) -> None:
        """Keep all of a training, or nothing: credentials of nobody's training would stay for ever."""
        try:
            self.catalogue.keep_zip(training.id, zip_path)
            self.vault.keep(training.id, submission)
            self.catalogue.add(training)
        except BaseException:
            self.catalogue.remove(training.id)
            self.vault.forget(training.id)
            raise

    def runs(self, caller: Caller, limit: int, offset: int) -> tuple[Sequence[Run], int]:
        """Return a page of the runs that the caller may see, oldest first, and how many there are."""
        return self.history.page(self._visible(caller), limit, offset)

    def run(self, model_id: str, caller: Caller) -> Run:
        """Return one run; raise TrainyardError C107 if there is none that the caller may see."""
        run = self.history.find(model_id)
        if run is None or not _may_see(caller, run.account, self.limits()):
            cure = "`trainyard list` shows the runs there are; finished ones leave it after the retention time."
            raise TrainyardError("C107", f"there is no run {model_id}", cure)
        return run

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
        last = self.history.forget(run)
        self.forget_files(model_id)
        if last:
            self.catalogue.remove(run.training_id)
            self.vault.forget(run.training_id)

    def _visible(self, caller: Caller) -> set[str] | None:
        if caller.admin:
            return None
        mine = {account.name for account in self.limits().accounts_of(caller.name)}
        records = (self.catalogue.get(training_id) for training_id in self.catalogue.ids())
        return {record.id for record in records if record and record.account in mine}


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


def _may_see(caller: Caller, account: str, limits: Limits) -> bool:
    return caller.admin or any(mine.name == account for mine in limits.accounts_of(caller.name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
