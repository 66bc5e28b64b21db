"""What the REST interface does with stored training definitions and experiments, typed by its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from trainyard.answers.documents import (
    DocumentAnswer,
    DocumentDetails,
    DocumentPage,
    ExperimentRunAnswer,
    ExperimentRunDetails,
    ExperimentRunPage,
)
from trainyard.client.errors import WrongUsageError
from trainyard.client.reading import error_of
from trainyard.client.session import Session
from trainyard.client.transport import CountedFile

DEFINITIONS, EXPERIMENTS = "training_definitions", "experiments"
_PAGE = 500


class DocumentCalls:
    """The calls; every one raises TrainyardError. A kind is `training_definitions` or `experiments`."""

    def __init__(self, session: Session, url: str) -> None:
        self._session, self._url = session, url

    def store_definition(
        self, text: tuple[str, bytes], zip_path: Path, account: str, progress: Callable[[int], object] | None = None
    ) -> DocumentDetails:
        """Store a training definition (name and content) with its zip."""
        with CountedFile(zip_path, progress) as file:
            parts = [("manifest", (*text, "application/yaml")), ("zip", (zip_path.name, file, "application/zip"))]
            data = {"account": account} if account else {}
            return self._session.ask(DocumentDetails, "POST", f"/v3/{DEFINITIONS}", files=parts, data=data)

    def store_experiment(self, text: tuple[str, bytes], account: str) -> DocumentDetails:
        parts = [("manifest", (*text, "application/yaml"))]
        data = {"account": account} if account else {}
        return self._session.ask(DocumentDetails, "POST", f"/v3/{EXPERIMENTS}", files=parts, data=data)

    def all(self, kind: str) -> list[DocumentAnswer]:
        """Return the documents of a kind, the oldest first."""
        found: dict[str, DocumentAnswer] = {}
        while True:
            wanted = {"limit": _PAGE, "offset": len(found)}
            page = self._session.ask(DocumentPage, "GET", f"/v3/{kind}", params=wanted)
            found.update((each.id, each) for each in page.resources)
            if not page.resources or len(found) >= page.total:
                return list(found.values())

    def one(self, kind: str, document_id: str) -> DocumentDetails:
        return self._session.ask(DocumentDetails, "GET", _place(kind, document_id))

    def delete(self, kind: str, document_id: str) -> None:
        self._delete(_place(kind, document_id))

    def run(self, experiment_id: str) -> ExperimentRunAnswer:
        """Run an experiment once more."""
        return self._session.ask(ExperimentRunAnswer, "POST", f"{_place(EXPERIMENTS, experiment_id)}/runs")

    def runs(self, experiment_id: str) -> list[ExperimentRunAnswer]:
        """Return the runs of an experiment, the oldest first."""
        found: dict[str, ExperimentRunAnswer] = {}
        place = f"{_place(EXPERIMENTS, experiment_id)}/runs"
        while True:
            page = self._session.ask(ExperimentRunPage, "GET", place, params={"limit": _PAGE, "offset": len(found)})
            found.update((each.id, each) for each in page.resources)
            if not page.resources or len(found) >= page.total:
                return list(found.values())

    def experiment_run(self, experiment_id: str, run_id: str) -> ExperimentRunDetails:
        return self._session.ask(ExperimentRunDetails, "GET", _run_place(experiment_id, run_id))

    def cancel_run(self, experiment_id: str, run_id: str) -> ExperimentRunAnswer:
        change = [{"op": "replace", "path": "/status/state", "value": "canceled"}]
        return self._session.ask(ExperimentRunAnswer, "PATCH", _run_place(experiment_id, run_id), json=change)

    def delete_run(self, experiment_id: str, run_id: str) -> None:
        self._delete(_run_place(experiment_id, run_id))

    def _delete(self, place: str) -> None:
        answer = self._session.send("DELETE", place)
        if not answer.is_success:
            raise error_of(self._url, answer.status_code, answer.content)


def _run_place(experiment_id: str, run_id: str) -> str:
    return f"{_place(EXPERIMENTS, experiment_id)}/runs/{_word(run_id, 'experiment-runs EXPERIMENT')}"


def _place(kind: str, document_id: str) -> str:
    return f"/v3/{kind}/{_word(document_id, kind.replace('_', '-'))}"


def _word(text: str, listed: str) -> str:
    if not text.strip("./ "):
        raise WrongUsageError(f"{text!r} is no id", f"`trainyard list {listed}` shows the ids there are.")
    return quote(text, safe="")
