"""Stored training definitions and experiments, as the Python API has them: the documents of 2018."""

from __future__ import annotations

from trainyard.answers.documents import DocumentAnswer, DocumentDetails, ExperimentRunDetails
from trainyard.client.documents import DEFINITIONS, EXPERIMENTS
from trainyard.client.manifests import Manifest, Program, manifest_paths, manifest_text
from trainyard.client.packing import packed
from trainyard.client.rest import RestClient
from trainyard.client.run import Run, Runs
from trainyard.client.waiting import patient, wait_until


class StoredDocuments:
    """What is stored for experiments. Every method raises TrainyardError for what the service refuses."""

    def __init__(self, service: RestClient) -> None:
        self._service = service

    def store_definition(self, program: Program, document: Manifest, *, account: str | None = None) -> DocumentDetails:
        """Store a training definition with its program, a folder or a zip; raise all problems of both at once."""
        with packed(program, manifest_paths(document)) as found:
            return self._service.documents.store_definition(manifest_text(document), found.zip, account or "")

    def store_experiment(self, document: Manifest, *, account: str | None = None) -> DocumentDetails:
        """Store an experiment whose training definitions are stored; raise all its problems at once."""
        return self._service.documents.store_experiment(manifest_text(document), account or "")

    def definitions(self) -> list[DocumentAnswer]:
        """Return the training definitions that you may see, the oldest first."""
        return self._service.documents.all(DEFINITIONS)

    def experiments(self) -> list[DocumentAnswer]:
        """Return the experiments that you may see, the oldest first."""
        return self._service.documents.all(EXPERIMENTS)

    def definition(self, definition_id: str) -> DocumentDetails:
        """Return a training definition with what it says; raise C107 if there is none that you may see."""
        return self._service.documents.one(DEFINITIONS, definition_id)

    def experiment(self, experiment_id: str) -> DocumentDetails:
        """Return an experiment with what it says; raise C107 if there is none that you may see."""
        return self._service.documents.one(EXPERIMENTS, experiment_id)

    def delete_definition(self, definition_id: str) -> None:
        """Delete a training definition; experiments that name it run no more."""
        self._service.documents.delete(DEFINITIONS, definition_id)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment; its runs stay."""
        self._service.documents.delete(EXPERIMENTS, experiment_id)

    def run(self, experiment_id: str) -> ExperimentRun:
        """Run an experiment once more."""
        return ExperimentRun(self._service, experiment_id, self._service.documents.run(experiment_id).id)

    def runs(self, experiment_id: str) -> list[ExperimentRun]:
        """Return the runs of an experiment, the oldest first."""
        found = self._service.documents.runs(experiment_id)
        return [ExperimentRun(self._service, experiment_id, each.id) for each in found]


class ExperimentRun:
    """One run of a stored experiment: the trainings that it has started. Every property asks the service."""

    def __init__(self, service: RestClient, experiment_id: str, run_id: str) -> None:
        self.experiment_id, self.id = experiment_id, run_id
        self._service = service

    @property
    def info(self) -> ExperimentRunDetails:
        """All that the service reports of it."""
        return self._service.documents.experiment_run(self.experiment_id, self.id)

    @property
    def state(self) -> str:
        """The state of all its trainings together, as that of a run."""
        return self.info.state

    @property
    def trainings(self) -> Runs:
        """The runs that it has started."""
        return Runs(Run(self._service, each.model_id) for each in self.info.trainings)

    def wait(self, timeout: float | None = None) -> ExperimentRun:
        """Wait until all its trainings have ended and return it; raise TimeoutError after `timeout` seconds."""

        def look() -> bool | None:
            return self.info.ended or None

        if wait_until(patient(look, self._service.has_answered), timeout) is None:
            raise TimeoutError(f"{self.id} goes on after {timeout:g} seconds")
        return self

    def cancel(self) -> None:
        """Cancel every training that is going; what they have made is stored."""
        self._service.documents.cancel_run(self.experiment_id, self.id)

    def delete(self) -> None:
        """Delete it with its trainings, all of which have to have ended; the bucket is left alone."""
        self._service.documents.delete_run(self.experiment_id, self.id)

    def __repr__(self) -> str:
        return f"<ExperimentRun {self.id}>"
