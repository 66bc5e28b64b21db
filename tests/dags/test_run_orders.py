"""Lists of runs in orders of their own, over what is remembered of the runs between two looks."""

from __future__ import annotations

import pytest
from historyworld import ALL_STEPS, end_run, parse_dag, start_run
from historyworld import world as world  # a fixture
from late import Late
from samples import training
from sqlalchemy import delete, text

from trainyard.core.runs import Key, Order
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome

pytestmark = pytest.mark.xdist_group("airflow")

runs = Late("airflow.models.dagrun")
lines = Late("trainyard.airflow.runlines")
usages = Late("trainyard.airflow.usage")

LONG, SHORT, FAILED, GOING, NEW = (f"training-{name}00000" for name in ("long", "shrt", "fail", "goes", "newx"))


@pytest.fixture
def yard(world):
    """Two runs that completed, one that failed before its program started, one that goes on, one still to come."""
    for number, training_id in enumerate((LONG, SHORT, FAILED, GOING, NEW)):
        world.catalogue.add(training(training_id, submitted_at=1_700_000_000.0 + number))
        if training_id != NEW:
            parse_dag(world, training_id)
    for training_id, began, seconds in ((LONG, 2000.0, 500.0), (SHORT, 3000.0, 20.0)):
        start_run(world, training_id, **ALL_STEPS)
        end_run(world, training_id, train=Outcome(gpu_seconds=seconds, started_at=began, finished_at=began + seconds))
    start_run(world, FAILED, validate="failed")
    end_run(world, FAILED, "failed", validate=Outcome("C103", "no bucket", "Make it."))
    start_run(world, GOING, validate="success", stage="success", train="running")
    world.started[RunKey.first_of(GOING)] = 1000.0
    return world


def _order(yard, key, descending=False):
    found, total = yard.history.page(None, 10, 0, order=Order(key, descending))
    assert total == len(found)
    return [run.model_id for run in found]


_UP = {
    Key.STATE: [NEW, GOING, LONG, SHORT, FAILED],
    # What has no value comes first.
    Key.STARTED: [FAILED, NEW, GOING, LONG, SHORT],
    Key.DURATION: [FAILED, NEW, SHORT, LONG, GOING],
    Key.ENDED: [GOING, NEW, LONG, SHORT, FAILED],
    Key.NAME: [LONG, SHORT, FAILED, GOING, NEW],
}


@pytest.mark.parametrize("key", _UP)
def test_runs_are_in_order_those_that_are_going_or_to_come_too(yard, key):
    for _ in range(2):  # the second time from what is remembered
        assert _order(yard, key) == _UP[key]
        assert _order(yard, key, descending=True) == _UP[key][::-1]


@pytest.mark.parametrize("key", [Key.STATE, Key.DURATION])
def test_a_run_that_ends_meanwhile_takes_its_place(yard, key):
    _order(yard, key)
    end_run(
        yard, GOING, "failed", train=Outcome("C201", "it failed", "", gpu_seconds=1.0, started_at=1.0, finished_at=2.0)
    )
    found = _order(yard, key)
    assert found.index(GOING) == (4 if key is Key.STATE else 2)


def test_one_that_is_cleared_and_ends_again_is_read_again(yard):
    assert _order(yard, Key.DURATION)[-2:] == [LONG, GOING]
    with yard.session() as session:
        session.execute(text(f"update dag_run set state = 'running', end_date = null where run_id = '{LONG}'"))
    _order(yard, Key.DURATION)
    end_run(yard, LONG, train=Outcome(started_at=2000.0, finished_at=2001.0))
    with yard.session() as session:  # later than the first time
        session.execute(text(f"update dag_run set end_date = '2026-01-03 00:00:00+00:00' where run_id = '{LONG}'"))
    assert _order(yard, Key.DURATION)[2:4] == [LONG, SHORT]


class TestLines:
    def test_they_are_the_same_until_something_changes(self, yard):
        known = lines.RunLines()
        with yard.session() as session:
            first = known.look(session)
            assert known.look(session) is first
        start_run(yard, run_id="training-again0000", training_id=LONG)
        with yard.session() as session:
            second = known.look(session)
        assert (len(second.lines), second.version > first.version) == (len(first.lines) + 1, True)

    def test_a_change_that_nobody_marked_and_a_row_that_went_are_seen(self, yard):
        known = lines.RunLines()
        with yard.session() as session:
            known.look(session)
            session.execute(text(f"update dag_run set state = 'failed' where run_id = '{GOING}'"))
            assert {line.run_id: line.state for line in known.look(session).lines}[GOING] == "failed"
            session.execute(delete(runs.DagRun).where(runs.DagRun.run_id == LONG))
            assert LONG not in {line.run_id for line in known.look(session).lines}


def test_hours_are_counted_on_as_runs_end(yard):
    usage = usages.AirflowUsage(yard.catalogue, yard.started.get, lambda: 1_000_000.0)
    assert sorted(share.gpu_seconds for share in usage.shares(0.0) if share.ended_at and not share.holding) == [
        20.0,
        500.0,
    ]
    end_run(yard, GOING, train=Outcome(gpu_seconds=9.0, started_at=1.0, finished_at=10.0))
    assert [share.gpu_seconds for share in usage.shares(0.0) if share.holding] == []
    assert 9.0 in [share.gpu_seconds for share in usage.shares(0.0)]
