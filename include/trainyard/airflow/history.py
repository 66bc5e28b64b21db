"""History is Airflow's: runs, phases and outcomes read from DAG runs, task instances and XComs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from trainyard.airflow.cancel import CANCELED, cancel, canceled_by, canceler
from trainyard.airflow.endedruns import Ended, EndedRuns
from trainyard.airflow.endstates import ENDED_RUN, ENDED_STEP
from trainyard.airflow.leftovers import remove_task_logs
from trainyard.airflow.ordering import Ordering
from trainyard.airflow.outcomes import KEY, LEFT_OUT, METRICS, TRACKED, USED, value_of
from trainyard.airflow.runlines import TRAININGS, Line, RunLines, Seen
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.runs import Order, Run, StepRun
from trainyard.core.starts import Start
from trainyard.domain.hyperparameters import SIZE
from trainyard.domain.leftout import read_left_out
from trainyard.domain.names import MODEL_ID_PREFIX, RunKey
from trainyard.domain.outcome import Outcome, read_metrics
from trainyard.domain.overrides import overrides
from trainyard.domain.states import Phase, State
from trainyard.domain.tracked import read_tracked

STEPS = ("validate", "stage", "train", "upload", "cleanup")
_UNSTARTED = (None, "scheduled", "queued", "removed")
_GOING = DagRun.state.not_in(ENDED_RUN)

# When the program of a run started, in seconds since the epoch; None while it has not.
Started = Callable[[RunKey], float | None]

# Of a text among the hyperparameters, and of a command, that a list shows; one run alone has the whole.
_MAX_LISTED_TEXT = 200


class AirflowHistory:
    """The runs of all trainings in the catalogue.

    `started` tells when a run's program started, `installing` whether the pod still installs what that needs.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        started: Started,
        installing: Callable[[RunKey], bool] = lambda _: False,
        lines: RunLines | None = None,
        ended: EndedRuns | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalogue = catalogue
        self._started = started
        self._installing = installing
        self._lines, self._ended = lines or RunLines(), ended or EndedRuns()
        self._ordering = Ordering(catalogue, started, clock)

    def page(
        self,
        trainings: Iterable[str] | None,
        limit: int,
        offset: int,
        states: frozenset[State] = frozenset(),
        since: float | None = None,
        order: Order = Order(),  # noqa: B008 - a value
        owner: str = "",
    ) -> tuple[Sequence[Run], int]:
        """Return a page of runs, in the order of their submission or another one, and how many there are in all.

        Only runs in one of the `states` (none given: any), submitted not before `since` and started by the `owner`
        (none given: anybody) are listed. A run that Airflow does not know yet counts as a queued one: nothing accepted
        is ever missing.
        """
        wanted = self._catalogue.ids() if trainings is None else set(trainings)
        with create_session() as session:
            seen = self._lines.look(session)
            asked = [line for line in seen.lines if line.dag_id in wanted and line.run_after >= (since or 0.0)]
            if owner:
                asked = self._owned(asked, owner)
            if states:
                asked = self._in_states(session, seen, asked, states)
            fresh = self._fresh(session, wanted, seen.known) if not states or State.PENDING in states else []
            fresh = [run for run in fresh if run.submitted_at >= (since or 0.0) and owner in ("", run.owner)]
            ends, going = partial(self._ended.of, session, seen), partial(self._states_of_going, session)
            chosen = self._ordering.ordered(seen, asked, fresh, order, ends, going)[offset : offset + limit]
            those = [place.id for place in chosen if isinstance(place, Line)]
            rows = session.scalars(select(DagRun).where(DagRun.id.in_(those))).all()
            whose = {_key(row): row.id for row in rows}
            found = {whose[run.key]: run for run in self._runs(session, rows, _listed)}
        # A record may have gone in between.
        page = (found.get(place.id) if isinstance(place, Line) else place for place in chosen)
        return [run for run in page if run], len(asked) + len(fresh)

    def find(self, model_id: str) -> Run | None:
        """Return the run that got this model id: a training's first run has the training's, others theirs alone.

        Whoever may start runs in Airflow itself can give one the id of another training's run; that one is older.
        """
        training, start = self._catalogue.get(model_id), self._catalogue.starts.get(model_id)
        whose = DagRun.dag_id == model_id if training else DagRun.dag_id.like(TRAININGS)
        if start and not training:
            whose = DagRun.dag_id == start.training_id
        with create_session() as session:
            row = session.scalar(select(DagRun).where(DagRun.run_id == model_id, whose).order_by(DagRun.id).limit(1))
            if row is not None:
                return next(iter(self._runs(session, [row])), None)
        if training:
            return None if self._catalogue.has_begun(training.id) else _first(training)
        left = self._catalogue.starts.left(model_id)
        return self._asked(left) if left else None

    def like(self, part: str) -> set[RunKey]:
        """Return the runs whose ids begin or end with a part, of the nine characters that tell ids apart."""
        begins, ends = f"{MODEL_ID_PREFIX}{part}", part
        either = or_(DagRun.run_id.startswith(begins, autoescape=True), DagRun.run_id.endswith(ends, autoescape=True))
        with create_session() as session:
            rows = session.execute(select(DagRun.dag_id, DagRun.run_id).where(DagRun.dag_id.like(TRAININGS), either))
            found = {RunKey(row.dag_id, row.run_id) for row in rows} | self._catalogue.expected()
        # Databases do not all tell small letters from capitals.
        return {run for run in found if run.model_id.startswith(begins) or run.model_id.endswith(ends)}

    def cancel(self, run: Run, caller: str) -> None:
        """Stop a run: its program is ended, teardowns still store what there is; raise C108 if it trains no more."""
        cancel(run.training_id, run.model_id, caller)

    def steps(self, run: Run) -> list[StepRun]:
        """Return the steps of a run in their order; none of a run that Airflow does not know yet."""
        task = TaskInstance
        columns = (task.task_id, task.state, task.start_date, task.end_date, task.try_number)
        with create_session() as session:
            mine = (task.dag_id == run.training_id, task.run_id == run.model_id)
            found = {row[0]: StepRun(*_step(row)) for row in session.execute(select(*columns).where(*mine))}
        return [found[step] for step in STEPS if step in found]

    def is_last(self, run: Run) -> bool:
        """Say whether the training has no other run."""
        with create_session() as session:
            others = select(DagRun.id).where(DagRun.dag_id == run.training_id, DagRun.run_id != run.model_id)
            return session.scalar(others.limit(1)) is None and not self._has_pending(run.training_id)

    def forget(self, run: Run) -> bool:
        """Remove a run from the history, with Airflow's logs of its steps; return whether it was its training's last.

        A run whose training's record is gone already is removed too.
        """
        from airflow.api.common.delete_dag import delete_dag
        from airflow.exceptions import DagNotFound

        remove_task_logs(run.training_id, run.model_id)
        with create_session() as session:
            mine = (DagRun.dag_id == run.training_id, DagRun.run_id == run.model_id)
            row = session.scalar(select(DagRun).where(*mine))
            if row is not None:
                session.delete(row)
                session.flush()
            left = select(DagRun).where(DagRun.dag_id == run.training_id).order_by(DagRun.run_after, DagRun.id)
            heir = session.scalar(left.limit(1))
            if heir is not None or self._has_pending(run.training_id):
                if run.model_id == run.training_id:  # one that nobody started would be listed as still to come
                    self._catalogue.mark_begun(run.training_id)
                return False
            try:
                delete_dag(run.training_id, session=session)
            except DagNotFound:  # the training never became a DAG
                return True
        return True

    def _fresh(self, session: Session, wanted: Set[str], known: Set[str]) -> list[Run]:
        """Return the runs that Airflow does not know yet: first ones, and those that were asked for."""
        records = (self._catalogue.get(each) for each in wanted - known if not self._catalogue.has_begun(each))
        found = [_listed(_first(record)) for record in records if record] + self._pending(session, wanted)
        return sorted(found, key=lambda run: (run.submitted_at, run.model_id))

    def _pending(self, session: Session, wanted: Container[str]) -> list[Run]:
        """Return the runs that the service was asked to start and has not made in Airflow yet."""
        starts = [start for start in map(self._catalogue.starts.get, self._catalogue.starts.pending()) if start]
        if not starts:
            return []
        made = select(DagRun.run_id).where(DagRun.run_id.in_([start.model_id for start in starts]))
        there = set(session.scalars(made.where(DagRun.dag_id.in_({start.training_id for start in starts}))))
        asked = (start for start in starts if start.training_id in wanted and start.model_id not in there)
        return [_listed(run) for run in map(self._asked, asked) if run]

    def _has_pending(self, training_id: str) -> bool:
        return bool(self._catalogue.starts.pending_of(training_id))

    def _asked(self, start: Start) -> Run | None:
        training = self._catalogue.get(start.training_id)
        return _queued(training, start.model_id, start.owner, start.values, start) if training else None

    def _owned(self, lines: Iterable[Line], owner: str) -> list[Line]:
        """Keep the runs that somebody started: in Airflow, through the service, or by submitting the training."""
        theirs = {record.id for record in self._catalogue.trainings() if record.owner == owner}
        return [line for line in lines if (line.owner == owner if line.owner else line.dag_id in theirs)]

    def _in_states(self, session: Session, seen: Seen, lines: Iterable[Line], states: frozenset[State]) -> list[Line]:
        """Keep the runs in one of the states; only of those that are going more than the run's own row is read."""
        ends = self._ended.of(session, seen) if any(state.terminal for state in states) else {}
        going = {number for number, state in self._states_of_going(session, states).items() if state in states}
        return [line for line in lines if (line.id in going if not line.over else _state(ends, line) in states)]

    def _states_of_going(self, session: Session, states: frozenset[State] = frozenset()) -> dict[int, State]:
        """Return the states of the runs that are going; of ended ones alone that only those may have that failed."""
        those = select(DagRun).where(_GOING, DagRun.dag_id.like(TRAININGS))
        if states and all(state.terminal for state in states):
            task = TaskInstance
            failed = (task.dag_id == DagRun.dag_id, task.run_id == DagRun.run_id, task.state == "failed")
            those = those.where(exists().where(*failed))
        going = session.scalars(those).all()
        known = {run.key: run.state for run in self._runs(session, going)}
        return {row.id: known[_key(row)] for row in going if _key(row) in known}

    def _runs(self, session: Session, rows: Sequence[Any], shape: Callable[[Run], Run] = lambda run: run) -> list[Run]:
        steps = _steps(session, rows)
        ends = _outcomes(session, rows)
        records = ((row, self._catalogue.get(row.dag_id)) for row in rows)
        return [shape(self._run(row, record, steps[_key(row)], ends[_key(row)])) for row, record in records if record]

    def _run(self, row: Any, training: Training, steps: Mapping[str, str], ends: Mapping[str, Any]) -> Run:
        started = self._started(_key(row))
        phase = phase_of(str(row.state), steps, started is not None)
        if phase is Phase.TRAINING and self._installing(_key(row)):
            phase = Phase.INSTALLING
        done = phase is Phase.DONE
        outcome = outcome_of(str(row.state), steps, ends) if done else _early(steps, ends, started is not None)
        start = self._catalogue.start_of(_key(row))
        owner = self._catalogue.owner_of(_key(row), training, row.triggering_user_name)
        return replace(
            _queued(training, row.run_id, owner, self._catalogue.values_of(_key(row), row.conf), start),
            phase=phase,
            submitted_at=_submitted_at(row, training, start),
            running_at=(outcome.started_at if outcome else None) or started,
            finished_at=_epoch(row.end_date) if phase is Phase.DONE else None,
            outcome=outcome,
            left_out=read_left_out(ends.get(LEFT_OUT)),
            tracked=read_tracked(ends.get(TRACKED)),
        )


def _listed(run: Run) -> Run:
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
    return training.submitted_at if row.run_id == training.id else _epoch(row.queued_at) or 0.0


def _gpus(training: Training, changed: Mapping[str, Any]) -> int:
    size = training.sizes.get(changed.get(SIZE, ""))
    return size.gpus * training.plan.learners if size else training.plan.all_gpus


def phase_of(run_state: str, steps: Mapping[str, str], started: bool) -> Phase:
    """Tell where a run is from the states of its DAG run and its steps."""
    if run_state in ENDED_RUN:
        return Phase.DONE
    if steps.get("train") in ENDED_STEP:
        return Phase.STORING
    if steps.get("stage") == "success":
        return Phase.TRAINING if started else Phase.WAITING_FOR_GPU
    if steps.get("validate") == "success":
        return Phase.STAGING
    return Phase.QUEUED if steps.get("validate") in _UNSTARTED else Phase.VALIDATING


def _early(steps: Mapping[str, str], ends: Mapping[str, Any], started: bool) -> Outcome | None:
    """Tell how a run ends whose program will never start: there is nothing that storing it could change."""
    if started or not any(steps.get(step) == "failed" for step in ("validate", "stage", "train")):
        return None
    return _unsuccessful(steps, ends)


def outcome_of(run_state: str, steps: Mapping[str, str], ends: Mapping[str, Any]) -> Outcome:
    """Tell how a run ended: canceled, the first step that failed, or completed; GPU time is the train step's."""
    trained = replace(Outcome.from_dict(ends.get("train") or ends.get(USED)), metrics=read_metrics(ends.get(METRICS)))
    if run_state == "success" and not _was_canceled(steps, ends):
        return replace(trained, code=None, hint="")
    end = _unsuccessful(steps, ends)
    return replace(
        end,
        exit_code=trained.exit_code,
        gpu_seconds=trained.gpu_seconds,
        started_at=trained.started_at,
        finished_at=trained.finished_at,
        metrics=trained.metrics,
        image=trained.image,
    )


def _was_canceled(steps: Mapping[str, str], ends: Mapping[str, Any]) -> bool:
    """A run that was canceled when its program had already succeeded is not undone."""
    return CANCELED in ends and steps.get("train") != "success"


def _unsuccessful(steps: Mapping[str, str], ends: Mapping[str, Any]) -> Outcome:
    """A step that failed without a word (its worker was killed) is a fault of the service and says so."""
    if _was_canceled(steps, ends):
        return canceled_by(canceler(ends[CANCELED]))
    failed = next((step for step in STEPS if steps.get(step) == "failed"), None)
    if failed is None:
        return Outcome("S500", "the run was marked failed in Airflow", "Submit it again to train.")
    outcome = Outcome.from_dict(ends.get(failed))
    if outcome.code:
        return outcome
    return Outcome("S500", f"the {failed} step ended without a reason", "Look at its log in Airflow.")


def _first(training: Training) -> Run:
    return _queued(training, training.id, training.owner, {}, None)


def _queued(training: Training, model_id: str, owner: str, given: Mapping[str, Any], start: Start | None) -> Run:
    changed = overrides(training.spec, given)
    return Run(
        model_id=model_id,
        training_id=training.id,
        name=training.spec.name,
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


def _state(ends: Mapping[int, Ended], line: Line) -> State | None:
    end = ends.get(line.id)
    return end.state if end else None


def _key(row: Any) -> RunKey:
    return RunKey(row.dag_id, row.run_id)


def _steps(session: Session, runs: Sequence[DagRun]) -> dict[RunKey, dict[str, str]]:
    """Return run -> step -> its state; a step that was not scheduled yet has none."""
    task = TaskInstance
    columns = (task.dag_id, task.run_id, task.task_id, task.state)
    # By the DAG too: there is an index of both, and none of the run alone.
    those = (task.dag_id.in_({run.dag_id for run in runs}), task.run_id.in_([run.run_id for run in runs]))
    found: dict[RunKey, dict[str, str]] = defaultdict(dict)
    for dag_id, run_id, task_id, state in session.execute(select(*columns).where(*those)):
        if state is not None:
            found[RunKey(dag_id, run_id)][task_id] = str(state)
    return found


def _outcomes(session: Session, runs: Sequence[DagRun]) -> dict[RunKey, dict[str, Any]]:
    """Return run -> step -> outcome as data; under other keys what else the steps left there."""
    xcom = XComModel
    # As mere lines: as an object each of them would bring its DAG run along.
    columns = (xcom.dag_id, xcom.run_id, xcom.task_id, xcom.key, xcom.value)
    those = (
        xcom.dag_run_id.in_([run.id for run in runs]),
        xcom.key.in_((KEY, CANCELED, USED, LEFT_OUT, METRICS, TRACKED)),
    )
    found: dict[RunKey, dict[str, Any]] = defaultdict(dict)
    for row in session.execute(select(*columns).where(*those)):
        found[_key(row)][row.task_id if row.key == KEY else row.key] = value_of(row)
    return found


def _step(row: Any) -> tuple[str, str, float | None, float | None, int]:
    name, state, began, ended, attempt = row
    return name, str(state or ""), _epoch(began), _epoch(ended), attempt or 0


def _epoch(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
