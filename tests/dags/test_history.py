"""History is Airflow's: phases, outcomes, lists, cancel and delete over its real database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from time import monotonic
from types import SimpleNamespace

import pytest
from historyworld import (
    ALL_STEPS,
    HOSTILE_VALUES,
    TRAINED,
    add_training,
    end_run,
    leave_xcom,
    mark_canceled,
    parse_dag,
    start_run,
    step_states,
)
from historyworld import world as world  # a fixture
from late import Late
from samples import MODEL_ID, RUN
from sqlalchemy import select, text

from trainyard.core.runs import Key, Order
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import Phase, State
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

states = Late("trainyard.airflow.runstates")
runs = Late("airflow.models.dagrun")
rows = Late("airflow.models.taskinstance")
xcoms = Late("airflow.models.xcom")
_OTHER = "training-Xz81mQ0aB"
_AGAIN = "training-again0000"


class TestPhases:
    @pytest.mark.parametrize(
        ("state", "steps", "started", "phase"),
        [
            ("queued", {}, False, Phase.QUEUED),
            ("running", {"validate": None}, False, Phase.QUEUED),
            ("running", {"validate": "scheduled"}, False, Phase.QUEUED),
            ("running", {"validate": "queued"}, False, Phase.QUEUED),
            ("running", {"validate": "running"}, False, Phase.VALIDATING),
            ("running", {"validate": "up_for_retry"}, False, Phase.VALIDATING),
            ("running", {"validate": "success", "stage": None}, False, Phase.STAGING),
            ("running", {"validate": "success", "stage": "running"}, False, Phase.STAGING),
            ("running", {"validate": "success", "stage": "up_for_retry"}, False, Phase.STAGING),
            ("running", {"validate": "success", "stage": "success", "train": None}, False, Phase.WAITING_FOR_GPU),
            ("running", {"validate": "success", "stage": "success", "train": "queued"}, False, Phase.WAITING_FOR_GPU),
            ("running", {"validate": "success", "stage": "success", "train": "deferred"}, False, Phase.WAITING_FOR_GPU),
            ("running", {"validate": "success", "stage": "success", "train": "deferred"}, True, Phase.TRAINING),
            ("running", {"validate": "success", "stage": "success", "train": "up_for_retry"}, True, Phase.TRAINING),
            ("running", {"validate": "success", "stage": "success", "train": "success"}, True, Phase.STORING),
            ("running", {"validate": "success", "stage": "success", "train": "failed"}, True, Phase.STORING),
            ("running", {"validate": "success", "stage": "success", "train": "skipped"}, False, Phase.STORING),
            ("running", {"validate": "failed", "train": "upstream_failed"}, False, Phase.STORING),
            ("success", {"train": "success"}, True, Phase.DONE),
            ("failed", {"train": "failed"}, True, Phase.DONE),
        ],
    )  # fmt: skip
    def test_the_phase_follows_from_the_steps(self, state, steps, started, phase):
        assert states.phase_of(state, steps, started) is phase


_CRASHED = Outcome("C201", "the training program failed", "Read its log.", 3, 40.0, 1.0, 11.0)
_FULL = Outcome("S303", "the results could not be stored", "Wait.")
_BILLED = {"gpu_seconds": 40.0, "started_at": 1.0, "finished_at": 11.0}


class TestOutcomes:
    def test_a_run_that_went_well_has_its_programs_outcome(self):
        assert states.outcome_of("success", ALL_STEPS, {"train": TRAINED.as_dict()}) == TRAINED

    def test_a_failed_program_is_told_as_it_was(self):
        steps = {**ALL_STEPS, "train": "failed"}
        assert states.outcome_of("failed", steps, {"train": _CRASHED.as_dict()}) == _CRASHED

    def test_results_that_were_not_stored_fail_a_run_that_was_trained_and_is_billed(self):
        ends = {"train": TRAINED.as_dict(), "upload": _FULL.as_dict()}
        outcome = states.outcome_of("failed", {**ALL_STEPS, "upload": "failed"}, ends)
        assert outcome == Outcome("S303", _FULL.message, _FULL.hint, 0, **_BILLED)

    def test_the_first_step_that_failed_is_the_reason(self):
        ends = {"train": _CRASHED.as_dict(), "upload": _FULL.as_dict()}
        outcome = states.outcome_of("failed", {**ALL_STEPS, "train": "failed", "upload": "failed"}, ends)
        assert outcome.code == "C201"

    def test_a_reason_from_before_training_is_told(self):
        refused = Outcome("C103", "there is no bucket training-data", "Name another.")
        steps = {"validate": "failed", "stage": "upstream_failed", "train": "upstream_failed"}
        assert states.outcome_of("failed", steps, {"validate": refused.as_dict()}) == refused

    def test_a_step_that_ended_without_a_word_is_the_services_fault(self):
        outcome = states.outcome_of("failed", {**ALL_STEPS, "stage": "failed"}, {})
        assert (outcome.code, outcome.message) == ("S500", "the stage step ended without a reason")

    def test_what_an_earlier_attempt_said_is_not_the_reason_of_a_step_that_succeeded(self):
        ends = {"train": TRAINED.as_dict(), "stage": _FULL.as_dict()}
        assert states.outcome_of("success", ALL_STEPS, ends) == TRAINED

    def test_a_run_that_was_canceled_says_by_whom_and_what_it_used(self):
        ends = {"canceled": "grace", "train": {**_CRASHED.as_dict(), "code": "S102"}}
        outcome = states.outcome_of("failed", {**ALL_STEPS, "train": "failed"}, ends)
        assert (outcome.state, outcome.message) == (State.CANCELED, "canceled by grace")
        assert (outcome.gpu_seconds, outcome.started_at, outcome.finished_at) == (40.0, 1.0, 11.0)

    def test_a_run_whose_program_was_stopped_is_billed_what_it_used_up_to_then(self):
        ends = {"canceled": "grace", "used": TRAINED.as_dict()}
        outcome = states.outcome_of("failed", {**ALL_STEPS, "train": "failed"}, ends)
        assert (outcome.code, outcome.gpu_seconds, outcome.finished_at) == ("C204", 40.0, 11.0)

    @pytest.mark.parametrize("state", ["success", "failed"])
    @pytest.mark.parametrize("train", ["skipped", "failed", "upstream_failed", None])
    def test_a_run_that_was_canceled_before_its_program_succeeded_is_canceled(self, state, train):
        assert states.outcome_of(state, {"train": train}, {"canceled": "grace"}).state is State.CANCELED

    def test_a_program_that_succeeded_before_the_cancel_came_has_completed(self):
        ends = {"canceled": "grace", "train": TRAINED.as_dict()}
        assert states.outcome_of("success", ALL_STEPS, ends) == TRAINED

    def test_a_run_that_somebody_marked_failed_says_so(self):
        outcome = states.outcome_of("failed", ALL_STEPS, {"train": TRAINED.as_dict()})
        assert (outcome.code, outcome.message) == ("S500", "the run was marked failed in Airflow")


class TestLeftOut:
    def test_files_that_were_not_stored_are_a_part_of_the_run(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world, train=TRAINED)
        assert world.history.find(MODEL_ID).left_out is None
        reported = {"count": 1, "files": [{"name": "result/latest", "reason": "is a link to nothing"}]}
        leave_xcom(world, reported, "left_out", "upload")
        run = world.history.find(MODEL_ID)
        assert run.left_out == reported

    @pytest.mark.parametrize("value", [7, [], {"count": "x"}, {"count": -1}, {"count": 1, "files": 3}, {"files": []}])
    def test_what_no_run_can_have_left_does_not_fail_the_answer(self, world, value):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world, train=TRAINED)
        leave_xcom(world, value, "left_out", "upload")
        assert not (world.history.find(MODEL_ID).left_out or {"files": []})["files"]


class TestTracked:
    def test_where_an_mlflow_server_has_the_run_is_a_part_of_it(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world, train=TRAINED)
        assert world.history.find(MODEL_ID).tracked is None
        reported = {"connection": "team-mlflow", "experiment_id": "1", "run_id": "abc", "warning": ""}
        leave_xcom(world, reported, "tracked", "cleanup")
        assert world.history.find(MODEL_ID).tracked == reported

    def test_what_no_run_can_have_left_does_not_fail_the_answer(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world, train=TRAINED)
        leave_xcom(world, {"connection": ["x"]}, "tracked", "cleanup")
        assert world.history.find(MODEL_ID).tracked is None


class TestLists:
    def test_a_training_that_airflow_does_not_know_yet_is_a_queued_run(self, world):
        there = add_training(world)
        (run,), total = world.history.page(None, 10, 0)
        assert total == 1
        assert (run.model_id, run.phase, run.submitted_at) == (MODEL_ID, Phase.QUEUED, there.submitted_at)
        assert world.history.find(MODEL_ID) == run

    def test_a_run_on_its_way_is_told_with_what_it_is(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, validate="success", stage="success", train="deferred")
        world.started[RUN] = 1234.5
        run = world.history.find(MODEL_ID)
        assert (run.name, run.account, run.framework, run.gpus) == ("tf-mnist", "vision", "tensorflow 2.16", 1)
        assert (run.phase, run.state, run.running_at) == (Phase.TRAINING, State.RUNNING, 1234.5)
        assert (run.finished_at, run.outcome) == (None, None)

    def test_a_run_that_ended_has_its_outcome_and_its_times(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world, train=TRAINED)
        run = world.history.find(MODEL_ID)
        assert (run.phase, run.state, run.outcome) == (Phase.DONE, State.COMPLETED, TRAINED)
        assert run.running_at == 1.0
        assert run.finished_at == datetime(2026, 1, 2, tzinfo=UTC).timestamp()

    def test_the_list_is_in_the_order_of_submission_page_by_page_and_complete(self, world):
        ids = [f"training-{number:09}" for number in range(5)]
        for number, training_id in enumerate(ids):
            add_training(world, training_id, submitted_at=1_700_000_000.0 + number)
        for training_id in ids[:3]:
            parse_dag(world, training_id)
            start_run(world, training_id)
        pages = [world.history.page(None, 2, offset) for offset in (0, 2, 4, 6)]
        assert [[run.model_id for run in runs] for runs, _ in pages] == [ids[:2], ids[2:4], ids[4:], []]
        assert [total for _, total in pages] == [5, 5, 5, 5]

    def test_long_texts_are_short_in_the_list_and_whole_of_one_run_also_before_airflow_knows_it(self, world):
        values = {"lr": 0.1, "text": "x" * 1000, "short": "y" * 200}
        add_training(world, hyperparameters=values)
        shown = {**values, "text": "x" * 200 + "..."}
        for known in (False, True):
            if known:
                parse_dag(world)
                start_run(world)
            ((run,), _) = world.history.page(None, 10, 0)
            assert run.hyperparameters == shown
            assert world.history.find(MODEL_ID).hyperparameters == values

    def test_a_training_that_is_run_again_has_one_row_for_each_run(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world)
        start_run(world, run_id=_AGAIN)
        runs, total = world.history.page(None, 10, 0)
        assert total == 2
        assert [(run.model_id, run.training_id) for run in runs] == [(MODEL_ID, MODEL_ID), (_AGAIN, MODEL_ID)]
        assert runs[1].submitted_at > runs[0].submitted_at
        assert world.history.find(_AGAIN).training_id == MODEL_ID

    def test_the_order_is_turned_round_or_by_what_the_records_say_also_of_runs_not_known_yet(self, world):
        names = {"training-000000001": "beta", "training-000000002": "Alpha", "training-000000003": "gamma"}
        for number, (training_id, name) in enumerate(names.items()):
            add_training(world, training_id, submitted_at=1_700_000_000.0 + number, name=name)
        first, second, fresh = names
        for training_id in (first, second):
            parse_dag(world, training_id)
            start_run(world, training_id)

        def ids(order, limit=10, offset=0):
            runs, total = world.history.page(None, limit, offset, order=order)
            assert total == 3
            return [run.model_id for run in runs]

        assert ids(Order(descending=True)) == [fresh, second, first]
        assert ids(Order(Key.NAME)) == [second, first, fresh]
        assert ids(Order(Key.NAME, descending=True)) == [fresh, first, second]
        assert ids(Order(Key.OWNER, descending=True), 1, 1) == [second]

    def test_the_steps_of_a_run_are_told_in_their_order(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, validate="success", stage="success", train="running")
        steps = world.history.steps(world.history.find(MODEL_ID))
        assert [(step.name, step.state) for step in steps][:3] == [
            ("validate", "success"),
            ("stage", "success"),
            ("train", "running"),
        ]

    def test_only_the_trainings_asked_for_are_listed(self, world):
        for training_id in (MODEL_ID, _OTHER):
            add_training(world, training_id)
            parse_dag(world, training_id)
            start_run(world, training_id)
        assert [run.model_id for run in world.history.page({_OTHER}, 10, 0)[0]] == [_OTHER]
        assert world.history.page(set(), 10, 0) == ([], 0)

    @pytest.mark.parametrize("model_id", ["training-000000000", "", "x" * 5000, "../" + MODEL_ID])
    def test_a_run_that_does_not_exist_is_not_found(self, world, model_id):
        add_training(world)
        assert world.history.find(model_id) is None


class TestFilteredLists:
    @pytest.fixture
    def mixed(self, world):
        """Runs in every state: state -> model id, in the order of submission; the last one is not known to Airflow."""
        names = ("done", "failed", "stopped", "late", "going", "waits", "fresh")
        ids = {name: f"training-{name:0>9}" for name in names}
        for number, training_id in enumerate(ids.values()):
            add_training(world, training_id, submitted_at=1_700_000_000.0 + number)
            if training_id != ids["fresh"]:
                parse_dag(world, training_id)
        start_run(world, ids["done"], **ALL_STEPS)
        end_run(world, ids["done"], train=TRAINED)
        start_run(world, ids["failed"], **{**ALL_STEPS, "train": "failed"})
        end_run(world, ids["failed"], "failed", train=_CRASHED)
        start_run(world, ids["stopped"], validate="success", stage="success", train="deferred")
        world.history.cancel(world.history.find(ids["stopped"]), "grace")
        end_run(world, ids["stopped"], "failed")
        start_run(world, ids["late"], **{**ALL_STEPS, "upload": "running"})
        mark_canceled(world, ids["late"])
        end_run(world, ids["late"], train=TRAINED)
        start_run(world, ids["going"], validate="success", stage="success", train="deferred")
        world.started[RunKey.first_of(ids["going"])] = 1.0
        start_run(world, ids["waits"], validate="success", stage="success", train="deferred")
        return ids

    @pytest.mark.parametrize(
        ("states", "names"),
        [
            ([State.COMPLETED], ["done", "late"]),
            ([State.ERROR], ["failed"]),
            ([State.CANCELED], ["stopped"]),
            ([State.RUNNING], ["going"]),
            ([State.PENDING], ["waits", "fresh"]),
            ([State.ERROR, State.RUNNING], ["failed", "going"]),
            (list(State), ["done", "failed", "stopped", "late", "going", "waits", "fresh"]),
        ],
    )
    def test_a_state_is_asked_for_as_it_is_told_page_by_page(self, world, mixed, states, names):
        found, total = world.history.page(None, 10, 0, frozenset(states))
        assert [run.model_id for run in found] == [mixed[name] for name in names]
        assert {run.state for run in found} <= set(states)
        assert total == len(names)
        singles = [world.history.page(None, 1, offset, frozenset(states)) for offset in range(len(names) + 1)]
        assert [run.model_id for runs, _ in singles for run in runs] == [mixed[name] for name in names]
        assert {total for _, total in singles} == {len(names)}

    def test_a_time_takes_the_run_of_that_very_moment_and_all_later_ones(self, world, mixed):
        found, total = world.history.page(None, 10, 0, since=1_700_000_004.0)
        assert [run.model_id for run in found] == [mixed[name] for name in ("going", "waits", "fresh")]
        assert total == 3
        assert world.history.page(None, 10, 0, since=1_700_000_099.0) == ([], 0)

    def test_filters_work_together(self, world, mixed):
        some = {mixed["done"], mixed["late"], mixed["fresh"]}
        found, total = world.history.page(some, 10, 0, frozenset({State.COMPLETED, State.PENDING}), 1_700_000_001.0)
        assert [run.model_id for run in found] == [mixed["late"], mixed["fresh"]]
        assert total == 2

    def test_some_are_left_out_or_asked_for_alone_page_by_page(self, world, mixed):
        everything = [run.key for run in world.history.page(None, 99, 0)[0]]
        made = [run.key for run in world.history.page(None, 99, 0)[0] if world.history.steps(run)]
        hidden = set(made[:2]) | {RunKey(_OTHER, "training-nowhere00")}
        found, total = world.history.page(None, 99, 0, without=hidden)
        assert [run.key for run in found] == [key for key in everything if key not in hidden]
        assert total == len(everything) - 2
        found, total = world.history.page(None, 1, 1, only=hidden)
        assert ([run.key for run in found], total) == ([made[1]], 2)
        assert world.history.page(None, 99, 0, only=set()) == ([], 0)

    def test_only_the_page_is_read_whole(self, world, mixed, monkeypatch):
        read, run_of = [], world.history.reader.run

        def noted(row, *more):
            read.append(row.run_id)
            return run_of(row, *more)

        monkeypatch.setattr(world.history.reader, "run", noted)
        world.history.page(None, 2, 0)
        # A database gives rows in whatever order it finds them.
        assert sorted(read) == sorted([mixed["done"], mixed["failed"]])
        world.history.page(None, 1, 0, frozenset({State.COMPLETED}))
        assert read[2:] == [mixed["done"]]


class TestKnownFailures:
    """What went wrong before the program started is the end of a run, whatever its last steps still do."""

    @pytest.fixture
    def refused(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, validate="failed", stage="upstream_failed", train="upstream_failed", upload="running")
        leave_xcom(world, Outcome("C103", "the secret is wrong", "Fix it.").as_dict(), task_id="validate")
        return world.history.find(MODEL_ID)

    def test_it_is_shown_while_the_last_steps_run(self, refused):
        assert (refused.state, refused.phase) == (State.ERROR, Phase.STORING)
        assert (refused.outcome.code, refused.finished_at) == ("C103", None)

    def test_the_lists_of_states_have_it_where_it_is_shown(self, world, refused):
        listed = {state: world.history.page(None, 10, 0, frozenset({state}))[1] for state in State}
        assert listed == {**dict.fromkeys(State, 0), State.ERROR: 1}

    def test_a_program_that_failed_has_its_outcome_when_its_results_are_stored(self, world):
        add_training(world)
        parse_dag(world)
        world.started[RUN] = 1.0
        start_run(world, validate="success", stage="success", train="failed", upload="running")
        leave_xcom(world, Outcome("C201", "it failed", "Fix it.", 3).as_dict())
        run = world.history.find(MODEL_ID)
        assert (run.state, run.outcome) == (State.RUNNING, None)


class TestCanceling:
    def test_the_program_is_ended_and_the_teardowns_still_run(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, validate="success", stage="success", train="deferred")
        world.history.cancel(world.history.find(MODEL_ID), "grace")
        states = step_states(world)
        assert states["train"] == "failed"
        assert states["upload"] is states["cleanup"] is None
        end_run(world, state="failed")
        run = world.history.find(MODEL_ID)
        assert (run.state, run.outcome.message) == (State.CANCELED, "canceled by grace")

    def test_a_run_that_waits_is_not_started_any_more(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world)
        world.history.cancel(world.history.find(MODEL_ID), "grace")
        states = step_states(world)
        assert states["validate"] == states["stage"] == states["train"] == "skipped"

    @pytest.mark.parametrize(
        "steps",
        [
            {"validate": "success", "stage": "success", "train": "success", "upload": "running"},
            {"validate": "success", "stage": "success", "train": "failed", "upload": "running"},
            {"validate": "failed", "train": "upstream_failed"},
            {"validate": "success", "stage": "failed"},
        ],
    )
    def test_a_run_that_trains_no_more_keeps_its_outcome_and_goes_on_to_its_end(self, world, steps):
        add_training(world)
        parse_dag(world)
        start_run(world, **steps)
        before = step_states(world)
        with pytest.raises(TrainyardError, match="trains no more") as refusal:
            world.history.cancel(world.history.find(MODEL_ID), "grace")
        assert refusal.value.code.code == "C108"
        assert step_states(world) == before
        end_run(world, state="failed", train=_CRASHED)
        assert world.history.find(MODEL_ID).state is State.ERROR

    def test_a_run_that_ends_at_that_moment_stays_as_it_ended(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        going = world.history.find(MODEL_ID)
        end_run(world, train=TRAINED)
        with pytest.raises(TrainyardError, match="has ended already"):
            world.history.cancel(going, "grace")
        assert world.history.find(MODEL_ID).state is State.COMPLETED

    def test_canceling_twice_is_canceling_once(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, validate="success", stage="success", train="deferred")
        for caller in ("grace", "ada"):
            world.history.cancel(world.history.find(MODEL_ID), caller)
        end_run(world, state="failed")
        assert world.history.find(MODEL_ID).outcome.message == "canceled by grace"

    def test_a_run_that_airflow_does_not_know_yet_is_canceled_as_soon_as_it_does(self, world, monkeypatch):
        def meanwhile(_):
            parse_dag(world)
            start_run(world)

        add_training(world)
        monkeypatch.setattr("trainyard.airflow.cancel.time", SimpleNamespace(monotonic=monotonic, sleep=meanwhile))
        world.history.cancel(world.history.find(MODEL_ID), "grace")
        assert step_states(world)["train"] == "skipped"

    def test_a_run_that_airflow_never_comes_to_know_is_refused_after_a_while(self, world, monkeypatch):
        add_training(world)
        monkeypatch.setattr("trainyard.airflow.cancel._SETUP_SECONDS", 0)
        with pytest.raises(TrainyardError, match="just being set up") as refusal:
            world.history.cancel(world.history.find(MODEL_ID), "grace")
        assert refusal.value.code.code == "C108"


class TestRunsWithOneId:
    """Airflow lets runs of two DAGs have one id; the service distinguishes them by their trainings."""

    @pytest.fixture
    def both(self, world):
        """A later run of a training, and one of another training that was given its id afterwards."""
        for training_id in (MODEL_ID, _OTHER):
            add_training(world, training_id)
            parse_dag(world, training_id)
            start_run(world, training_id, **ALL_STEPS)
            end_run(world, training_id, train=TRAINED)
        start_run(world, run_id=_AGAIN, validate="success", stage="success", train="deferred")
        start_run(world, _OTHER, run_id=_AGAIN, **{**ALL_STEPS, "train": "failed"})
        end_run(world, _AGAIN, "failed", _OTHER, train=_CRASHED)
        world.started[RunKey(MODEL_ID, _AGAIN)] = 7.0
        return {run.key: run for run in world.history.page(None, 10, 0)[0]}

    def test_each_is_listed_with_its_own_steps_and_outcome(self, world, both):
        assert len(both) == 4
        mine, theirs = both[RunKey(MODEL_ID, _AGAIN)], both[RunKey(_OTHER, _AGAIN)]
        assert (mine.phase, mine.running_at, mine.outcome) == (Phase.TRAINING, 7.0, None)
        assert (theirs.phase, theirs.running_at, theirs.outcome) == (Phase.DONE, 1.0, _CRASHED)

    @pytest.mark.parametrize(("state", "training_id"), [(State.RUNNING, MODEL_ID), (State.ERROR, _OTHER)])
    def test_a_state_is_asked_for_of_each(self, world, both, state, training_id):
        found, total = world.history.page(None, 10, 0, frozenset({state}))
        assert ([run.key for run in found], total) == ([RunKey(training_id, _AGAIN)], 1)

    def test_a_member_of_one_account_lists_the_own_alone(self, world, both):
        assert {run.key for run in world.history.page({_OTHER}, 10, 0)[0]} == {
            RunKey.first_of(_OTHER),
            RunKey(_OTHER, _AGAIN),
        }

    def test_the_one_that_had_the_id_first_is_found_by_it(self, world, both):
        assert world.history.find(_AGAIN).key == RunKey(MODEL_ID, _AGAIN)

    def test_a_run_of_another_training_with_the_id_of_a_first_run_is_not_found_in_its_place(self, world, both):
        start_run(world, _OTHER, run_id=MODEL_ID, days=2, validate="running")
        assert world.history.find(MODEL_ID).key == RUN
        assert world.history.find(MODEL_ID).state is State.COMPLETED

    def test_it_is_not_found_either_where_the_first_run_is_not_known_to_airflow_yet(self, world, both):
        add_training(world, "training-new000000")
        start_run(world, _OTHER, run_id="training-new000000", days=2, validate="running")
        assert world.history.find("training-new000000").key == RunKey.first_of("training-new000000")

    def test_canceling_one_leaves_the_other_as_it_was(self, world, both):
        with world.session() as session:
            theirs = select(runs.DagRun).where(runs.DagRun.dag_id == _OTHER, runs.DagRun.run_id == _AGAIN)
            session.scalar(theirs).state = "running"
        before = step_states(world, _AGAIN, _OTHER)
        world.history.cancel(both[RunKey(MODEL_ID, _AGAIN)], "grace")
        assert step_states(world, _AGAIN, MODEL_ID)["train"] == "failed"
        assert step_states(world, _AGAIN, _OTHER) == before
        end_run(world, _AGAIN, "failed", MODEL_ID)
        end_run(world, _AGAIN, "failed", _OTHER, train=_CRASHED)
        ends = {run.key: run.state for run in world.history.page(None, 10, 0)[0] if run.model_id == _AGAIN}
        assert ends == {RunKey(MODEL_ID, _AGAIN): State.CANCELED, RunKey(_OTHER, _AGAIN): State.ERROR}

    @pytest.mark.parametrize("training_id", [MODEL_ID, _OTHER])
    def test_forgetting_one_leaves_the_other(self, world, both, training_id):
        gone = RunKey(training_id, _AGAIN)
        world.history.forget(both[gone])
        assert {run.key for run in world.history.page(None, 10, 0)[0]} == both.keys() - {gone}
        assert step_states(world, _AGAIN, training_id) == {}
        (other,) = {MODEL_ID, _OTHER} - {training_id}
        assert step_states(world, _AGAIN, other)


class TestHostileOutcomes:
    """What stands for an outcome in Airflow's tables can be written by whoever reaches them."""

    @pytest.fixture
    def two(self, world):
        """Two runs that have ended: the first is to be given a hostile outcome, the other is as it should be."""
        for training_id in (MODEL_ID, _OTHER):
            add_training(world, training_id)
            parse_dag(world, training_id)
            start_run(world, training_id, **ALL_STEPS)
        end_run(world, _OTHER, train=TRAINED)
        return world

    def _fails(self, two):
        with two.session() as session:
            task = rows.TaskInstance
            session.scalar(select(task).where(task.dag_id == MODEL_ID, task.task_id == "train")).state = "failed"

    @pytest.mark.parametrize("value", HOSTILE_VALUES, ids=repr)
    @pytest.mark.parametrize("state", ["success", "failed"])
    def test_the_run_is_shown_and_the_other_as_ever(self, two, value, state):
        for key, step in (("outcome", "train"), ("outcome", "upload"), ("used", "upload"), ("canceled", "validate")):
            leave_xcom(two, value, key, step)
        if state == "failed":
            self._fails(two)
        end_run(two, state=state)
        found = {run.model_id: run for run in two.history.page(None, 10, 0)[0]}
        run, other = found[MODEL_ID], found[_OTHER]
        assert (other.outcome, other.state) == (TRAINED, State.COMPLETED)
        assert run.phase is Phase.DONE
        assert run.state is (State.COMPLETED if state == "success" else State.CANCELED)
        assert 0 <= run.outcome.gpu_seconds < 1e12
        json.dumps(run.outcome.as_dict(), allow_nan=False)
        assert two.history.page(None, 10, 0, frozenset(State))[1] == 2

    @pytest.mark.parametrize("value", HOSTILE_VALUES, ids=repr)
    def test_a_step_that_failed_with_what_is_no_reason_is_the_services_fault(self, two, value):
        leave_xcom(two, value)
        self._fails(two)
        end_run(two, state="failed")
        outcome = two.history.find(MODEL_ID).outcome
        assert (outcome.code, outcome.message) == ("S500", "the train step ended without a reason")

    @pytest.mark.parametrize("value", ["not json", "{", '"\\ud800"', "NaN", "null"])
    def test_an_outcome_that_is_no_json_at_all_is_passed_over(self, two, value):
        leave_xcom(two, TRAINED.as_dict())
        end_run(two)
        with two.session() as session:
            left = xcoms.XComModel
            stated = session.scalars(select(left).where(left.dag_id == MODEL_ID)).one()
            stated.value = value
        found = {run.model_id: run.outcome for run in two.history.page(None, 10, 0)[0]}
        assert found == {MODEL_ID: Outcome(), _OTHER: TRAINED}

    def test_a_failure_that_is_said_of_a_run_that_airflow_calls_a_success_is_none(self, two):
        end_run(two, train=_CRASHED)
        outcome = two.history.find(MODEL_ID).outcome
        assert (outcome.state, outcome.gpu_seconds) == (State.COMPLETED, 40.0)

    @pytest.mark.parametrize("conf", ["text", [1, 2], 7])
    def test_parameters_of_a_run_that_are_no_table_change_nothing(self, two, conf):
        with two.session() as session:
            session.scalar(select(runs.DagRun).where(runs.DagRun.dag_id == MODEL_ID)).conf = conf
        assert two.history.find(MODEL_ID).overrides == {}
        assert len(two.history.page(None, 10, 0)[0]) == 2


class TestForgetting:
    def test_the_last_run_takes_everything_of_its_training_along(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world, train=TRAINED)
        assert world.history.forget(world.history.find(MODEL_ID)) is True
        world.catalogue.remove(MODEL_ID)
        assert world.history.find(MODEL_ID) is None
        with world.session() as session:
            for table in ("dag", "dag_run", "task_instance", "xcom", "serialized_dag"):
                assert session.scalar(text(f"select count(*) from {table}")) == 0

    def test_a_training_that_has_other_runs_stays(self, world):
        add_training(world)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        start_run(world, run_id=_AGAIN, **ALL_STEPS)
        end_run(world, _AGAIN)
        assert world.history.forget(world.history.find(_AGAIN)) is False
        assert world.history.find(_AGAIN) is None
        assert world.history.find(MODEL_ID).model_id == MODEL_ID

    def test_a_first_run_that_was_deleted_does_not_start_again(self, world, monkeypatch):
        """The scheduler starts what the DAG's row says next; it is worked out again whenever the file is parsed."""
        monkeypatch.setenv("TRAINYARD_CATALOGUE", str(world.catalogue.folder))
        add_training(world)
        world.catalogue.mark_begun(MODEL_ID)
        parse_dag(world)
        start_run(world, **ALL_STEPS)
        end_run(world)
        start_run(world, run_id=_AGAIN, **ALL_STEPS)
        world.history.forget(world.history.find(MODEL_ID))
        parse_dag(world)
        with world.session() as session:
            assert session.scalar(text("select next_dagrun_create_after from dag")) is None

    def test_a_training_that_never_became_a_dag_can_be_forgotten(self, world):
        add_training(world)
        assert world.history.forget(world.history.find(MODEL_ID)) is True
