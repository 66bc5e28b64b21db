"""What the service does for its callers with runs: list, show, cancel, delete. Ports come in as arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from trainyard.core.accounts import Caller, may_see
from trainyard.core.audit.event import Action, Result
from trainyard.core.audit.recording import NO_AUDIT, Audit, about
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.deletions import Deletion
from trainyard.core.idempotency import claimed, give_up
from trainyard.core.registration import Registration
from trainyard.core.runs import Filter, Order, Run, StepRun
from trainyard.core.schedules import Schedules
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.starting import forget_start
from trainyard.core.starts import Start
from trainyard.core.trainingwriter import Vault
from trainyard.domain.limits import Limits
from trainyard.domain.names import MODEL_ID_PREFIX, RunKey
from trainyard.domain.ownstores import shown_connection
from trainyard.domain.states import Phase, State
from trainyard.domain.variables import Holder
from trainyard.domain.watchdogs import Alarm
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.base import Store
from trainyard.stores.below import Below


class History(Protocol):
    """The runs there are and were."""

    def page(
        self,
        trainings: Iterable[str] | None,
        limit: int,
        offset: int,
        states: frozenset[State],
        since: float | None,
        order: Order,
        owner: str = "",
        without: Collection[RunKey] = (),
        only: Collection[RunKey] | None = None,
        chosen: Callable[[RunKey], bool] | None = None,
    ) -> tuple[Sequence[Run], int]: ...

    def find(self, model_id: str) -> Run | None: ...

    def like(self, part: str) -> set[RunKey]:
        """Return the runs whose ids begin or end with a part, of the nine characters that distinguish ids."""

    def cancel(self, run: Run, caller: str) -> None: ...

    def steps(self, run: Run) -> Sequence[StepRun]: ...

    def is_last(self, run: Run) -> bool: ...

    def forget(self, run: Run) -> bool: ...


_ANY = Filter()
_ID_PART = re.compile("[A-Za-z0-9]{1,9}", re.ASCII)
_OLDEST_FIRST = Order()


@dataclass(frozen=True)
class Service:
    """The use cases.

    `forget_files` removes what a deleted run left in the workspace; `results_of` opens a training's results bucket;
    `pod_waits` says what the pod of a run waits for, empty where nobody knows; `transfer_of` says how far the data
    of a run has been moved, None where nothing moves; `version_of` says which version of its data a run has;
    `alarms_of` what its watchdogs have said; `make_run` makes a run in Airflow that was asked for; `is_kept` says
    whether somebody keeps a secret of a name, `find_store` which connection a name of a user's and an account's stores
    stands for.
    """

    catalogue: Catalogue
    vault: Vault
    history: History
    limits: Callable[[], Limits]
    settings: Settings
    clock: Callable[[], float]
    sync_pools: Callable[[Limits], None]
    forget_files: Callable[[RunKey], None]
    results_of: Callable[[Training], Store]
    pod_waits: Callable[[RunKey], str]
    transfer_of: Callable[[RunKey], Mapping[str, Any] | None]
    audit: Audit = NO_AUDIT
    version_of: Callable[[RunKey], str | None] = lambda _: None
    alarms_of: Callable[[RunKey], Sequence[Alarm] | None] = lambda _: None
    make_run: Callable[[Start], object] = lambda _: None
    is_kept: Callable[[Holder, str], bool] = lambda _holder, _name: True
    find_store: Callable[[str, str, str], str | None] = lambda _user, _account, _name: None

    @property
    def schedules(self) -> Schedules:
        return Schedules(self.catalogue.folder)

    @property
    def registration(self) -> Registration:
        """What takes submissions in, over the same ports."""
        parts = (self.catalogue, self.schedules, self.vault, self.limits, self.settings, self.clock, self.sync_pools)
        return Registration(*parts, self.audit, self.is_kept, self.find_store)

    def runs(
        self, caller: Caller, limit: int, offset: int, wanted: Filter = _ANY, order: Order = _OLDEST_FIRST
    ) -> tuple[Sequence[Run], int]:
        """Return a page of the wanted runs that the caller may see, oldest first, and how many there are in all."""
        trainings, narrow = self._visible(caller, wanted), self._narrow(wanted.deleted)
        if wanted.name:
            called, narrow["chosen"] = self._called(wanted.names)
            trainings = called if trainings is None else trainings & called
        page, total = self.history.page(
            trainings, limit, offset, wanted.states, wanted.since, order, wanted.owner, **narrow
        )
        return [self._with_deletion(run) for run in page] if wanted.deleted else page, total

    def matching(self, text: str, caller: Caller, most: int = 20, deleted: bool = False) -> list[Run]:
        """Return the runs that a text may stand for: a part of an id, at either end, or the very name of a run.

        With `deleted` those alone that are.
        """
        may_see, part = self._visibility(caller), text.removeprefix(MODEL_ID_PREFIX)
        hidden = self._deleted
        like = self.history.like(part) if _ID_PART.fullmatch(part) else set()
        keys = sorted(like & hidden if deleted else like - hidden)
        mine = [key for key in keys if (record := self.catalogue.get(key.training_id)) and may_see(record)]
        found = [run for run in map(self.history.find, (key.model_id for key in mine[:most])) if run]
        called, chosen = self._called(text.__eq__)
        records = filter(None, map(self.catalogue.head, called))
        named = {record.id for record in records if may_see(record)}
        newest = self._newest(named, most, deleted, chosen) if named else []
        return list({run.key: run for run in (*found, *newest)}.values())[:most]

    def experiments(self, caller: Caller) -> dict[str, set[str]]:
        """Return the experiments that the caller may see with their trainings, the one with the newest first."""
        may_see, found, hidden = self._visibility(caller), dict[str, set[str]](), self.catalogue.deletions.trainings()
        for record in sorted(self.catalogue.trainings(), key=lambda record: -record.submitted_at):
            if record.experiment and record.id not in hidden and may_see(record):
                found.setdefault(record.experiment, set()).add(record.id)
        return found

    def runs_of(self, caller: Caller, trainings: Iterable[str], limit: int) -> Sequence[Run]:
        """Return the runs of some trainings that the caller may see, the newest `limit` of them."""
        records = filter(None, map(self.catalogue.head, trainings))
        those = {record.id for record in filter(self._visibility(caller), records)}
        return self._newest(those, limit)

    def run(self, model_id: str, caller: Caller, deleted: bool = False) -> Run:
        """Return one run, with `deleted` also one that is; raise TrainyardError C107 if the caller may see none.

        That somebody asked for a run of others is recorded, although the answer is as for one that does not exist.
        """
        try:
            return self.found(model_id, caller, deleted)
        except TrainyardError as error:
            hidden = self.history.find(model_id)
            if hidden and not may_see(caller, hidden.account, self.limits()):
                refused = {"result": Result.REFUSED, "code": error.code.code}
                self.audit.record(caller, Action.READ_RUN, **about(hidden), **refused)
            raise

    def run_of_log(self, model_id: str, caller: Caller) -> Run:
        """Return a run whose log the caller is going to read, which is recorded; raise as `run` does."""
        with self.audit.action(caller, Action.READ_LOG, run=model_id) as known:
            run = self.found(model_id, caller)
            known.update(about(run))
            return run

    def found(self, model_id: str, caller: Caller, deleted: bool = False) -> Run:
        """Return one run as `run` does, without a record of who asked."""
        run = self.history.find(model_id)
        if run and self.catalogue.deletions.of(run.key):
            run = self._with_deletion(run) if deleted else None
        if run is None or not may_see(caller, run.account, self.limits()):
            hint = "`trainyard list` shows the runs there are; finished ones leave it after the retention time."
            raise TrainyardError("C107", f"there is no run {model_id}", hint)
        if start := self.catalogue.starts.left(model_id):
            self.make_run(start)
        return run

    def training_of(self, model_id: str, caller: Caller) -> Training:
        """Return the training of a run; raise TrainyardError C107 where either is not there, or not the caller's."""
        training = self.catalogue.get(self.run(model_id, caller).training_id)
        if training is None:
            raise TrainyardError("C107", f"what {model_id} was made of is not kept any more", "Submit it again.")
        return training

    def waiting(self, run: Run) -> str:
        """Say what a run waits for before its program runs; empty where it waits for nothing.

        A run whose pod was taken from it waits again, for another one.
        """
        if run.phase is Phase.INSTALLING:
            return "its requirements.txt is being installed"
        if run.phase is Phase.TRAINING:
            waits = self.pod_waits(run.key)
            return f"its pod was replaced: {waits}" if waits else ""
        reported = self.pod_waits(run.key) if run.phase is Phase.WAITING_FOR_GPU else ""
        return reported or run.waiting

    def steps(self, run: Run) -> Sequence[StepRun]:
        """Return Airflow's steps of a run in their order, as far as there are any yet."""
        return self.history.steps(run)

    def transfer(self, run: Run) -> Mapping[str, Any] | None:
        """Say how far the data of a run that is going has been moved; None where nothing moves."""
        return None if run.state.terminal else self.transfer_of(run.key)

    def alarms(self, run: Run) -> Sequence[Alarm]:
        """Return what the watchdogs of a run have said, the first one first."""
        return self.alarms_of(run.key) or []

    def origin(self, run: Run) -> dict[str, Any]:
        """Say what exactly a run is made of: its image, the version of its data, the digest of its zip, the commit."""
        training = self.catalogue.get(run.training_id)
        if training is None:
            return {}
        version = self.version_of(run.key) or ""
        start = self.catalogue.start_of(run.key)
        image = (run.outcome.image if run.outcome else "") or (start.image if start else "") or training.plan.image
        code = training.code.as_answer() if training.code else None
        known = {"image": image, "data_version": version, "zip_sha256": training.zip_sha256}
        return {**known, "code": code, "env": dict(training.spec.env), "secrets": list(training.spec.secrets)}

    def connections(self, run: Run) -> Mapping[str, str | None] | None:
        """Return the connections of the service's that a run's stores name; None where it has keys of its own."""
        training = self.catalogue.get(run.training_id)
        spec = training.spec if training else None
        sides = {"data": spec.data.connection, "results": spec.results.connection} if spec else {}
        named = {side: shown_connection(connection) for side, connection in sides.items()}
        return named if any(named.values()) else None

    def results(self, model_id: str, caller: Caller, name: str = "") -> Store:
        """Open a run's results as `stored` does, to list them or to read the one named, which is recorded."""
        action = Action.READ_RESULT if name else Action.LIST_RESULTS
        with self.audit.action(caller, action, run=model_id, details={"name": name}) as known:
            known.update(about(self.found(model_id, caller)))
            return self.stored(model_id, caller)

    def stored(self, model_id: str, caller: Caller) -> Store:
        """Open what a run has in its results bucket, with names below the run's folder."""
        run = self.found(model_id, caller)
        training = self.catalogue.get(run.training_id)
        if training is None:
            raise TrainyardError("C107", f"there is no run {model_id} any more", "Its results are still in the bucket.")
        return Below(self.results_of(training), f"{run.model_id}/")

    def cancel(self, model_id: str, caller: Caller) -> Run:
        """Stop a run; raise C108 if it has ended by itself. What it has made so far is still stored.

        One that was canceled already stays as it is: who asks again, since no answer came, has what was asked for.
        """
        with self.audit.action(caller, Action.CANCEL, run=model_id) as known:
            run = self.found(model_id, caller)
            known.update(about(run))
            if run.state is State.CANCELED:
                return run
            if run.state.terminal:
                message = f"{model_id} has ended already: {run.state}"
                raise TrainyardError("C108", message, "There is nothing to cancel.")
            self.history.cancel(run, caller.name)
        return self.found(model_id, caller)

    def deleted_until(self, mark: Deletion) -> float:
        """Return until when a deleted run can be brought back, in seconds since the epoch."""
        return mark.at + self.settings.deleted_keep_seconds

    def forget(self, run: Run, with_schedule: bool = False) -> bool:
        """Remove a run that has ended, and with its last run the training; return whether that went too.

        The record goes before the history: a training with a record and without a run would be trained again. Raise
        C111 for the only run of a training whose schedule lives, unless that goes `with_schedule`.
        """
        last = self.history.is_last(run)
        if last and not with_schedule and self.schedules.lives(run.training_id, self.clock()):
            message = f"{run.model_id} is the only run of a training with a schedule"
            raise TrainyardError("C111", message, f"End its schedule first: `trainyard unschedule {run.training_id}`.")
        if last:
            self.forget_training(run.training_id)
        if start := self.catalogue.starts.get(run.model_id):
            forget_start(self.catalogue, start, run.account)
        self.history.forget(run)
        self.forget_files(run.key)
        self.catalogue.deletions.remove(run.model_id)
        return last

    def forget_training(self, training_id: str) -> None:
        """Remove a training; once all trainings of an idempotency key are gone, the key is free again."""
        training = self.catalogue.get(training_id)
        self.catalogue.remove(training_id)
        self.vault.forget(training_id)
        self.schedules.remove(training_id)
        Ledgers(self.catalogue.folder / SEARCHES).remove(training_id)
        for start in self.catalogue.starts.of_training(training_id):
            forget_start(self.catalogue, start, training.account if training else "")
        if training and training.origin:
            with claimed(self.catalogue.folder, training.account, training.origin) as claim:
                if not any(self.catalogue.get(other) for other in claim.ids):
                    give_up(self.catalogue.folder, training.account, training.origin)

    @property
    def _deleted(self) -> set[RunKey]:
        return self.catalogue.deletions.keys()

    def _with_deletion(self, run: Run) -> Run:
        mark = self.catalogue.deletions.of(run.key)
        return replace(run, deleted_at=mark.at, deleted_until=self.deleted_until(mark)) if mark else run

    def _newest(
        self,
        trainings: set[str],
        most: int,
        deleted: bool = False,
        chosen: Callable[[RunKey], bool] | None = None,
    ) -> Sequence[Run]:
        newest_first, narrow = Order(descending=True), self._narrow(deleted)
        return self.history.page(trainings, most, 0, frozenset(), None, newest_first, chosen=chosen, **narrow)[0]

    def _called(self, fits: Callable[[str], bool]) -> tuple[set[str], Callable[[RunKey], bool] | None]:
        """Return the trainings that have runs of a fitting name, and what chooses among these; None for all of them.

        A run is called as its training is, but for those that have a name of their own.
        """
        fitting = {record.id for record in self.catalogue.trainings() if fits(record.spec.name)}
        own = self.catalogue.starts.named()
        if not own:
            return fitting, None
        others = {key.training_id for key, name in own.items() if fits(name)}
        return fitting | others, lambda key: fits(own[key]) if key in own else key.training_id in fitting

    def _narrow(self, deleted: bool) -> dict[str, Any]:
        """Return what lets a page of the history have the deleted runs alone, or all others."""
        return {"only": self._deleted} if deleted else {"without": self._deleted}

    def _visible(self, caller: Caller, wanted: Filter) -> set[str] | None:
        """Return the trainings whose runs may be listed, None for all: then no record has to be looked at."""
        if caller.admin and not wanted.asks_trainings:
            return None
        records = filter(self._visibility(caller), self.catalogue.trainings())
        return {record.id for record in records if wanted.takes(record)}

    def _visibility(self, caller: Caller) -> Callable[[Training], bool]:
        """Return what says whether a caller may see a training; for many, since the limits are looked up once."""
        mine = {account.name for account in self.limits().accounts_of(caller.name)}
        return lambda record: caller.admin or record.account in mine
