"""Makes runs as the service knows them from rows of Airflow's and from records of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from trainyard.airflow.outcomes import LEFT_OUT, TRACKED
from trainyard.airflow.runqueries import epoch, key_of, outcomes_of, steps_of
from trainyard.airflow.runstates import early_outcome, outcome_of, phase_of
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.runs import Run
from trainyard.core.starts import Start
from trainyard.domain.hyperparameters import SIZE
from trainyard.domain.leftout import read_left_out
from trainyard.domain.names import RunKey
from trainyard.domain.overrides import overrides
from trainyard.domain.states import Phase
from trainyard.domain.tracked import read_tracked

# When the program of a run started, in seconds since the epoch; None while it has not.
Started = Callable[[RunKey], float | None]

# Of a text among the hyperparameters, and of a command, that a list shows; one run alone has the whole.
_MAX_LISTED_TEXT = 200


class RunReader:
    """Reads runs; `started` says when a run's program started, `installing` whether the pod still installs for it."""

    def __init__(self, catalogue: Catalogue, started: Started, installing: Callable[[RunKey], bool]) -> None:
        self._catalogue = catalogue
        self._started = started
        self._installing = installing

    def runs(self, session: Session, rows: Sequence[Any], shape: Callable[[Run], Run] = lambda run: run) -> list[Run]:
        """Read runs, each in the shape that is wanted; those whose training's record is gone are left out."""
        steps, ends = steps_of(session, rows), outcomes_of(session, rows)
        found = ((row, key_of(row), self._catalogue.get(row.dag_id)) for row in rows)
        return [shape(self.run(row, record, steps[key], ends[key])) for row, key, record in found if record]

    def run(self, row: Any, training: Training, steps: Mapping[str, str], ends: Mapping[str, Any]) -> Run:
        """Make a run from its row, the states of its steps and what these left."""
        key = key_of(row)
        started = self._started(key)
        phase = phase_of(str(row.state), steps, started is not None)
        if phase is Phase.TRAINING and self._installing(key):
            phase = Phase.INSTALLING
        done = phase is Phase.DONE
        outcome = outcome_of(str(row.state), steps, ends) if done else early_outcome(steps, ends, started is not None)
        start = self._catalogue.start_of(key)
        owner = self._catalogue.owner_of(key, training, row.triggering_user_name)
        return replace(
            _queued(training, row.run_id, owner, self._catalogue.values_of(key, row.conf), start),
            phase=phase,
            submitted_at=_submitted_at(row, training, start),
            running_at=(outcome.started_at if outcome else None) or started,
            finished_at=epoch(row.end_date) if done else None,
            outcome=outcome,
            left_out=read_left_out(ends.get(LEFT_OUT)),
            tracked=read_tracked(ends.get(TRACKED)),
        )

    def asked(self, start: Start) -> Run | None:
        """Return a run that the service was asked to start and Airflow does not know yet."""
        training = self._catalogue.get(start.training_id)
        return _queued(training, start.model_id, start.owner, start.values, start) if training else None


def listed(run: Run) -> Run:
    """Return a run as lists have it: a thousand of them with texts of any length would be hundreds of megabytes."""
    return replace(run, hyperparameters=_short(run.hyperparameters), overrides=_short(run.overrides))


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    cut = {name: f"{value[:_MAX_LISTED_TEXT]}..." for name, value in values.items() if _is_long(value)}
    return {**values, **cut}


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > _MAX_LISTED_TEXT


def _submitted_at(row: Any, training: Training, start: Start | None) -> float:
    if start:
        return start.started_at
    return training.submitted_at if row.run_id == training.id else epoch(row.queued_at) or 0.0


def _gpus(training: Training, changed: Mapping[str, Any]) -> int:
    size = training.sizes.get(changed.get(SIZE, ""))
    return size.gpus * training.plan.learners if size else training.plan.all_gpus


def first_run(training: Training) -> Run:
    """Return the first run of a training that Airflow does not know yet."""
    return _queued(training, training.id, training.owner, {}, None)


def _queued(training: Training, model_id: str, owner: str, given: Mapping[str, Any], start: Start | None) -> Run:
    changed = overrides(training.spec, given)
    return Run(
        model_id=model_id,
        training_id=training.id,
        name=(start.name if start else "") or training.spec.name,
        account=training.account,
        framework=str(training.spec.framework),
        gpus=_gpus(training, changed),
        learners=training.plan.learners,
        phase=Phase.QUEUED,
        submitted_at=start.started_at if start else training.submitted_at,
        experiment=training.experiment,
        overrides=changed,
        owner=owner,
        hyperparameters={name: changed.get(name, own) for name, own in training.spec.hyperparameters.items()},
        parent=start.parent if start else "",
        trial=start.trial if start else None,
    )
