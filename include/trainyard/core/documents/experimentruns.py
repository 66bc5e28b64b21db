"""Running a stored experiment: each of its trainings is registered as any submission, all in one experiment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trainyard.core.accounts import Caller
from trainyard.core.audit.event import Action
from trainyard.core.catalogue import Training
from trainyard.core.deleting import Deleting
from trainyard.core.documents.documents import Documents, Part, by_zip, problems_of
from trainyard.core.documents.files import Kind, Stored
from trainyard.core.runs import Run
from trainyard.core.searching import Searching
from trainyard.core.service import Service
from trainyard.domain.documents import Experiment, Reference, new_document_id
from trainyard.domain.states import Phase, State
from trainyard.errors import TrainyardError

_MAX_RUNS = 1000
# Of a name so much is in that of the experiment that its runs belong to, which has 80 characters.
_MAX_NAME = 68
_ORIGIN = "experiment-run"


@dataclass(frozen=True)
class ExperimentRun:
    """One run of an experiment; `experiment` is the name that its trainings share, by which every list finds them.

    `searches` says of each of its trainings that is a search whether it goes on.
    """

    record: Stored
    experiment: str
    trainings: tuple[Run, ...]
    searches: Mapping[str, bool] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """What it has come to as a whole: it fails with a training that fails, and goes on until the last has ended.

        A search goes on between two of its trials, and has not failed if one of them completed.
        """
        runs = {training: [run for run in self.trainings if run.training_id == training] for training in self._ids}
        states = {self._state_of(training, found) for training, found in runs.items()}
        if not all(state.terminal for state in states):
            return State.PENDING if states == {State.PENDING} else State.RUNNING
        ordered = (State.ERROR, State.CANCELED, State.COMPLETED)
        return next((state for state in ordered if state in states), State.PENDING)

    @property
    def _ids(self) -> set[str]:
        return {run.training_id for run in self.trainings}

    def _state_of(self, training_id: str, runs: Sequence[Run]) -> State:
        """Return the state of one training from those of its runs; only a search has several from the beginning."""
        states = [run.state for run in runs]
        if self.searches.get(training_id) or not all(state.terminal for state in states):
            return State.PENDING if set(states) == {State.PENDING} else State.RUNNING
        ordered = (State.COMPLETED, State.CANCELED, State.ERROR) if training_id in self.searches else (states[-1],)
        return next(state for state in ordered if state in states)


@dataclass(frozen=True)
class ExperimentRuns:
    """The use case over the documents and over what runs trainings."""

    documents: Documents
    service: Service
    searching: Searching

    def start(self, experiment_id: str, caller: Caller, key: str = "") -> ExperimentRun:
        """Run an experiment once more. The same `key` starts it once, whatever died in between.

        Raise TrainyardError with every problem of all its trainings; nothing is registered then.
        """
        audit = self.service.audit
        with audit.action(caller, Action.RUN_EXPERIMENT, details={"id": experiment_id}) as known:
            stored = self.documents.one(Kind.EXPERIMENT, experiment_id, caller)
            run_id = str(uuid.uuid5(uuid.UUID(stored.id), key)) if key else new_document_id()
            known.update(account=stored.account, details={"id": stored.id, "run": run_id})
            files = self.documents.files
            record = files.get(Kind.RUN, run_id, stored.id)
            references = Experiment.from_dict(stored.content).references
            parts = by_zip([(at, *self.documents.manifest(stored, each)) for at, each in enumerate(references)])
            if record is None:
                self._check(parts, references, stored, caller)
            began = record or self._record(stored, run_id, caller)
            self._register(began, parts, caller, first=record is None)
            return self._seen(began, caller)

    def all(self, experiment_id: str, caller: Caller, limit: int, offset: int) -> tuple[list[ExperimentRun], int]:
        """Return a page of an experiment's runs, the oldest first, and how many there are in all."""
        stored = self.documents.one(Kind.EXPERIMENT, experiment_id, caller)
        records = self.documents.files.all(Kind.RUN, stored.id)
        return self._all_seen(records[offset : offset + limit], caller), len(records)

    def one(self, experiment_id: str, run_id: str, caller: Caller) -> ExperimentRun:
        """Return one run of an experiment; raise TrainyardError C107 if there is none that the caller may see."""
        return self._seen(self._found(experiment_id, run_id, caller), caller)

    def cancel(self, experiment_id: str, run_id: str, caller: Caller) -> ExperimentRun:
        """Stop every training of a run that is still going; what they have made so far is stored."""
        record = self._found(experiment_id, run_id, caller)
        seen = self._seen(record, caller)
        for training_id in (training_id for training_id, going in seen.searches.items() if going):
            self.searching.cancel(training_id, caller)
        for run in seen.trainings:
            if not run.state.terminal and run.training_id not in seen.searches:
                self.service.cancel(run.model_id, caller)
        return self._seen(record, caller)

    def delete(self, experiment_id: str, run_id: str, caller: Caller) -> None:
        """Remove a run and its trainings from the history; raise C108 while one of them is going."""
        with self.service.audit.action(caller, Action.DELETE_EXPERIMENT_RUN, details={"id": run_id}) as known:
            record = self._found(experiment_id, run_id, caller)
            known.update(account=record.account)
            seen = self._seen(record, caller)
            going = [run.model_id for run in seen.trainings if run.phase is not Phase.DONE]
            if going := [*going, *(training_id for training_id, goes in seen.searches.items() if goes)]:
                message = f"{len(going)} of its trainings are still going: {', '.join(going[:5])}"
                raise TrainyardError("C108", message, "Cancel them first, or wait until they have ended.")
            for run in seen.trainings:
                Deleting(self.service).delete(run.model_id, caller)
            self.documents.files.remove(record)

    def sweep(self, before: float, dry_run: bool) -> list[str]:
        """Remove the records of runs that began before a moment and of which no training is left."""
        files, known = self.documents.files, {each.experiment for each in self.service.catalogue.trainings()}
        gone = [
            record
            for experiment in files.all(Kind.EXPERIMENT)
            for record in files.all(Kind.RUN, experiment.id)
            if known and record.created_at < before and record.name not in known
        ]
        for record in [] if dry_run else gone:
            files.remove(record)
        return [f"experiment run {record.id}" for record in gone]

    def _found(self, experiment_id: str, run_id: str, caller: Caller) -> Stored:
        stored = self.documents.one(Kind.EXPERIMENT, experiment_id, caller)
        record = self.documents.files.get(Kind.RUN, run_id.lower(), stored.id)
        if record is None:
            hint = f"`trainyard list experiment-runs {stored.id}` shows those there are."
            raise TrainyardError("C107", f"the experiment has no run {run_id}", hint)
        return record

    def _check(
        self, parts: Sequence[Sequence[Part]], references: Sequence[Reference], stored: Stored, caller: Caller
    ) -> None:
        check = self.service.registration.check
        found = [
            replace(problem, file=references[index].name, line=None, column=None)  # lines of a manifest nobody has seen
            for same in parts
            for index, problem in problems_of(same, lambda named, path: check(named, path, stored.account, caller))
        ]
        if found:
            raise TrainyardError.refused(found)

    def _record(self, stored: Stored, run_id: str, caller: Caller) -> Stored:
        name = f"{_printable(stored.name)[:_MAX_NAME].strip()} ({run_id[:8]})"
        made = Stored(run_id, Kind.RUN, stored.account, caller.name, self.service.clock(), name, parent=stored.id)
        self.documents.files.prepare(made)
        self.documents.files.add(made)
        return made

    def _register(self, record: Stored, parts: Sequence[Sequence[Part]], caller: Caller, *, first: bool) -> None:
        """Register every training; what was registered before somebody died is not registered again.

        A first attempt that fails leaves nothing. Another one does: what the first registered may be training.
        """
        made: list[Training] = []
        try:
            for same in parts:
                named = [(str(index), manifest) for index, manifest, _ in same]
                origin = f"{_ORIGIN}/{record.id}/{same[0][0]}"
                made += self.service.registration.submit_all(
                    named, same[0][2], record.account, caller, record.name, origin=origin
                )
        except TrainyardError:
            if first:
                for training in made:
                    self.service.forget_training(training.id)
                self.documents.files.remove(record)
            raise

    def _seen(self, record: Stored, caller: Caller) -> ExperimentRun:
        (seen,) = self._all_seen([record], caller)
        return seen

    def _all_seen(self, records: Sequence[Stored], caller: Caller) -> list[ExperimentRun]:
        """Return runs with their trainings, for which the catalogue is looked through once."""
        found: dict[tuple[str, str], list[Training]] = {(each.name, each.account): [] for each in records}
        for training in self.service.catalogue.trainings() if records else ():
            if (key := (training.experiment, training.account)) in found:
                found[key].append(training)
        active = self.searching.ledgers.active()
        return [self._run(record, found[record.name, record.account], active, caller) for record in records]

    def _run(self, record: Stored, trainings: Sequence[Training], active: set[str], caller: Caller) -> ExperimentRun:
        runs = self.service.runs_of(caller, (each.id for each in trainings), _MAX_RUNS)
        searches = {each.id: each.id in active for each in trainings if each.spec.search}
        return ExperimentRun(record, record.name, tuple(reversed(runs)), searches)


def _printable(name: str) -> str:
    """Return a name as an experiment can have it; those of documents may hold anything."""
    return "".join(each if each.isprintable() else " " for each in name)
