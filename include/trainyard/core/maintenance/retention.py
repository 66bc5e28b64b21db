"""Retention: which finished runs leave the history, what else is no longer needed, and removing it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from trainyard.core.accounts import Caller, only_admins
from trainyard.core.audit.event import Action
from trainyard.core.deleting import Deleting
from trainyard.core.maintenance.removals import Removals
from trainyard.core.runs import Run
from trainyard.core.search.ledgers import SEARCHES, Ledgers
from trainyard.core.service import Service
from trainyard.core.starting import forget_start
from trainyard.domain.names import RunKey

_DAY_SECONDS = 24 * 3600.0
# What a submission that is just being registered leaves for a moment looks like what one that broke off left behind.
_ORPHAN_SECONDS = _DAY_SECONDS
# One sweep ends in a minute even if years of history are to go; who asks for it asks again while something is left.
MAX_A_SWEEP = 300
_PAGE = 1000


class Leftovers(Protocol):
    """What Airflow holds, whatever the catalogue says; moments are in seconds since the epoch."""

    def runs(self) -> set[RunKey]: ...

    def trainings(self, before: float) -> set[str]: ...

    def forget_training(self, training_id: str) -> None: ...

    def own_runs(self, before: float) -> list[tuple[str, str]]: ...

    def forget_own_run(self, dag_id: str, run_id: str) -> None: ...


class Folders(Protocol):
    """The folders of runs and trainings in the workspace, with the moment of their last change."""

    def runs(self) -> Mapping[RunKey, float]: ...

    def trainings(self) -> Mapping[str, float]: ...


Key = TypeVar("Key", str, RunKey)


@dataclass
class Report(Removals):
    """What a sweep removed, or would remove; `left` runs are for the next sweep, `failed` says what stays and why."""

    runs: list[str] = field(default_factory=list)
    trainings: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    own_runs: list[str] = field(default_factory=list)
    left: int = 0

    def do(self, done: list[str], name: str, action: Callable[[], object]) -> bool:
        """Do one thing unless the sweep is dry, and note it with what is done; return whether it went."""
        gone = self.attempt(name, action)
        if gone:
            done.append(name)
        return gone


@dataclass(frozen=True)
class Housekeeper:
    """The use case over the service's own ports and over what Airflow and the workspace hold besides.

    `forget_folder` removes all that a training has in the workspace; `evict` takes the most bytes and whether it is
    dry; `sweep_documents` removes what is left of stored documents since before a moment, and takes the same.
    """

    service: Service
    leftovers: Leftovers
    vault_ids: Callable[[], set[str]]
    folders: Folders
    forget_folder: Callable[[str], None]
    evict: Callable[[int, bool], Sequence[str]]
    sweep_documents: Callable[[float, bool], Sequence[str]] = lambda _, __: ()

    def sweep(self, caller: Caller, dry: bool) -> Report:
        """Remove what is past its time, or with `dry` only say what; raise C106 for anybody but an admin."""
        with self.service.audit.refusals(caller, Action.HOUSEKEEPING):
            only_admins(caller, "keeps house")
            report = self._swept(Report(dry))
        if not dry:
            self._record(caller, report)
        return report

    def _record(self, caller: Caller, report: Report) -> None:
        """Record the sweep and each thing that it removed."""
        kinds = ("runs", "trainings", "datasets", "orphans", "own_runs")
        removed = [(kind, name) for kind in kinds for name in getattr(report, kind)]
        counts = {"removed": len(removed), "failed": len(report.failed), "left": report.left}
        self.service.audit.record(caller, Action.HOUSEKEEPING, details=counts)
        for kind, name in removed:
            named = {"run": name} if kind == "runs" else {"training": name} if kind == "trainings" else {}
            self.service.audit.record(caller, Action.HOUSEKEEPING_REMOVE, **named, details={"kind": kind, "name": name})

    def _swept(self, report: Report) -> Report:
        now = self.service.clock()
        self._deleted_runs(report)
        self._runs(report, now)
        self._own_runs(report, now)
        self._orphans(report, now)
        report.datasets.extend(self.evict(self.service.settings.dataset_cache_max_bytes, report.dry_run))
        return report

    def _deleted_runs(self, report: Report) -> None:
        """Remove for good what was deleted and was not brought back in time."""
        deleting = Deleting(self.service)
        due = deleting.due()
        chosen = due if report.dry_run else due[:MAX_A_SWEEP]
        report.left += len(due) - len(chosen)
        for mark in chosen:
            report.do(report.runs, mark.model_id, _call(deleting.remove, mark))
        gone = {mark.training_id for mark in chosen} - self.service.catalogue.ids()
        report.trainings.extend(sorted(gone))

    def _runs(self, report: Report, now: float) -> None:
        runs = _all(self.service)
        trainings = {run.training_id for run in runs}
        schedules = self.service.schedules
        scheduled = {training for training in trainings if schedules.lives(training, now)}
        past = expired(runs, now, self.service.settings.retention_days, scheduled)
        chosen = past if report.dry_run else past[:MAX_A_SWEEP]
        report.left += len(past) - len(chosen)
        for run in chosen:
            report.do(report.runs, run.model_id, _call(self.service.forget, run))
        gone = set(report.runs)
        report.trainings.extend(sorted(trainings - {run.training_id for run in runs if run.model_id not in gone}))

    def _own_runs(self, report: Report, now: float) -> None:
        """Let the service's own DAGs forget their runs as trainings do."""
        past = self.leftovers.own_runs(now - self.service.settings.retention_days * _DAY_SECONDS)
        for dag_id, run_id in past:
            action = _call(self.leftovers.forget_own_run, dag_id, run_id)
            report.do(report.own_runs, f"{dag_id} {run_id}", action)

    def _deleted(self, known: Collection[str], now: float) -> set[str]:
        """Return the trainings all of whose runs somebody has deleted in Airflow, where no schedule makes new ones."""
        had_runs = set(known) - self.service.catalogue.unbegun()
        with_runs = {run.training_id for run in self.leftovers.runs()}
        if not with_runs:  # it may be another database
            return set()
        with_runs |= {run.training_id for run in self.service.catalogue.expected()}
        return {each for each in had_runs - with_runs if not self.service.schedules.lives(each, now)}

    def _orphans(self, report: Report, now: float) -> None:
        before = now - _ORPHAN_SECONDS
        catalogue, forget = self.service.catalogue, self.leftovers.forget_training
        known, zips = catalogue.ids(), catalogue.zips()
        if known:  # a catalogue without any training may be a volume that is not mounted
            for training_id in sorted(self.leftovers.trainings(before) - known):
                report.do(report.orphans, f"DAG {training_id}", _call(forget, training_id))
            old = {training_id for training_id, written in zips.items() if written < before}
            fresh = zips.keys() - old
            for training_id in sorted(self.vault_ids() - known - fresh):
                report.do(report.orphans, f"connections {training_id}", _call(self.service.vault.forget, training_id))
            for training_id in sorted(self.service.schedules.ids() - known - fresh):
                report.do(report.orphans, f"schedule {training_id}", _call(self.service.schedules.remove, training_id))
            searches = Ledgers(catalogue.folder / SEARCHES)
            for training_id in sorted(searches.ids() - known - fresh):
                report.do(report.orphans, f"search {training_id}", _call(searches.remove, training_id))
            for training_id in sorted(old - known):
                report.do(report.orphans, f"zip {training_id}", _call(catalogue.remove, training_id))
            for training_id in sorted(self._deleted(known, now)):
                report.do(report.orphans, f"training {training_id}", _call(self.service.forget_training, training_id))
        report.orphans.extend(self.sweep_documents(before, report.dry_run))
        runs = self.leftovers.runs()
        if runs:  # else it may be another database
            self._unmade_starts(report, runs, before)
        runs |= set(map(RunKey.first_of, known)) | catalogue.expected()
        trainings = orphans(self.folders.trainings(), {run.training_id for run in runs}, before)
        for run in orphans(self.folders.runs(), runs, before):
            report.do(report.orphans, f"workspace {run.model_id}", _call(self.service.forget_files, run))
        for training_id in trainings:
            report.do(report.orphans, f"workspace of {training_id}", _call(self.forget_folder, training_id))

    def _unmade_starts(self, report: Report, runs: Collection[RunKey], before: float) -> None:
        """Forget what runs were asked for that somebody has deleted in Airflow."""
        starts = self.service.catalogue.starts
        pending = starts.pending()
        for model_id, written in sorted(starts.all().items()):
            start = starts.get(model_id)
            if start and model_id not in pending and written < before and start.key not in runs:
                training = self.service.catalogue.get(start.training_id)
                action = _call(forget_start, self.service.catalogue, start, training.account if training else "")
                report.do(report.orphans, f"start {model_id}", action)


def expired(runs: Iterable[Run], now: float, days: float, scheduled: Collection[str]) -> list[Run]:
    """Return the runs that ended more than some days ago, the longest ended first.

    A training in `scheduled` keeps its newest run: the next one is counted from it.
    """
    ordered = sorted(runs, key=lambda run: run.submitted_at)
    newest = {run.training_id: run.model_id for run in ordered}
    kept = {model_id for training_id, model_id in newest.items() if training_id in scheduled}
    past = [run for run in ordered if run.model_id not in kept and _ended_before(run, now - days * _DAY_SECONDS)]
    return sorted(past, key=lambda run: run.finished_at or 0.0)


def orphans(folders: Mapping[Key, float], known: Collection[Key], before: float) -> list[Key]:
    """Return the folders that belong to nothing known and were last changed before a moment."""
    return sorted(each for each in folders if each not in known and folders[each] < before)


def _ended_before(run: Run, moment: float) -> bool:
    return run.state.terminal and run.finished_at is not None and run.finished_at <= moment


def _call(function: Callable[..., object], *arguments: object) -> Callable[[], object]:
    return lambda: function(*arguments)


def _all(service: Service) -> list[Run]:
    found: dict[str, Run] = {}
    admin, offset = Caller("housekeeping", admin=True), 0
    while True:
        page, total = service.runs(admin, _PAGE, offset)
        found.update((run.model_id, run) for run in page)
        offset += _PAGE
        if offset >= total:
            return list(found.values())
