"""Small fakes of the service's ports: credentials and history in memory."""

from __future__ import annotations

from dataclasses import replace

from trainyard.core.audit.recording import Audit
from trainyard.core.runs import Order
from trainyard.domain.earlier import Earlier
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase


class Events(list):
    """Keeps the events of the audit log in memory."""

    @property
    def audit(self):
        return Audit(self.append, lambda: 1_700_000_000.0)

    def seen(self, *names):
        """Return of each event the fields that are named."""
        return [tuple(str(getattr(event, name)) for name in names) for event in self]


class Vault:
    """Keeps credentials in memory."""

    def __init__(self):
        self.kept = {}
        self.broken = False

    def keep(self, training_id, submission):
        if self.broken:
            raise OSError("the database is locked")
        self.kept[training_id] = (submission.data_credentials, submission.results_credentials)

    def read(self, training):
        stores = zip((training.spec.data, training.spec.results), self.kept[training.id], strict=True)
        return Earlier([(ref, credentials) for ref, credentials in stores if credentials])

    def forget(self, training_id):
        self.kept.pop(training_id, None)


class History:
    """Keeps runs in memory; a run that is canceled ends at once."""

    def __init__(self):
        self.runs = {}
        self.canceled_by = {}

    def page(
        self,
        trainings,
        limit,
        offset,
        states=frozenset(),
        since=None,
        order=Order(),  # noqa: B008
        owner="",
        without=(),
        only=None,
        chosen=None,
    ):
        found = [run for run in self.runs.values() if trainings is None or run.training_id in trainings]
        found = [run for run in found if not states or run.state in states]
        found = [run for run in found if owner in ("", run.owner)]
        found = [run for run in found if since is None or run.submitted_at >= since]
        found = [run for run in found if run.key not in without and (only is None or run.key in only)]
        found = [run for run in found if not chosen or chosen(run.key)]
        found = found[::-1] if order.descending else found
        return found[offset : offset + limit], len(found)

    def find(self, model_id):
        return self.runs.get(model_id)

    def like(self, part):
        ids = {model_id: model_id.removeprefix("training-") for model_id in self.runs}
        return {self.runs[each].key for each, own in ids.items() if own.startswith(part) or own.endswith(part)}

    def cancel(self, run, caller):
        self.canceled_by[run.model_id] = caller
        self.runs[run.model_id] = replace(run, phase=Phase.DONE, outcome=Outcome("C204"))

    def steps(self, run):
        return []

    def is_last(self, run):
        return not any(
            other.training_id == run.training_id for other in self.runs.values() if other.model_id != run.model_id
        )

    def forget(self, run):
        del self.runs[run.model_id]
        return not any(other.training_id == run.training_id for other in self.runs.values())
