"""When something that a run made is an orphan."""

from __future__ import annotations

import pytest
from samples import MODEL_ID, RUN

from trainyard.core.accounts import Caller
from trainyard.core.maintenance.orphans import Remnant, orphan_reason, remove_orphans
from trainyard.core.maintenance.owners import GOING, OVER, UNKNOWN, Owner, Owners
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

NOW = 1_700_000_000.0
ROOT = Caller("root", admin=True)


def _left(age, remove=lambda: None, name="pod a"):
    return Remnant(RUN, name, NOW - age, remove)


@pytest.mark.parametrize(
    ("age", "owner", "stated"),
    [
        (1000, None, ""),
        (1000, Owner(GOING), ""),
        (1000, Owner("something-newer", NOW - 1000), ""),
        (300, Owner(UNKNOWN), ""),
        (301, Owner(UNKNOWN), "Airflow knows no such run"),
        (-60, Owner(UNKNOWN), ""),
        (9000, Owner(OVER, NOW - 300), ""),
        (9000, Owner(OVER, NOW - 301), "its run ended 5 minutes ago"),
        (9000, Owner(OVER, NOW - 7200), "its run ended 2 hours ago"),
        (10, Owner(OVER, NOW - 7200), ""),
    ],
    ids=[
        "not-told",
        "going",
        "odd",
        "unknown-young",
        "unknown",
        "clocks-differ",
        "over-young",
        "over",
        "long-over",
        "new",
    ],
)
def test_it_goes_once_its_run_is_over_or_unknown_for_longer_than_the_grace(age, owner, stated):
    assert orphan_reason(_left(age), owner, NOW, 300) == stated


def test_what_cannot_be_removed_is_told_and_stops_nothing_else():
    gone = []

    def refuse():
        raise OSError("not ours")

    things = [_left(900, refuse, "first"), _left(900, lambda: gone.append("second"), "second")]
    report = remove_orphans(things, {RUN: Owner(UNKNOWN)}, NOW, 300, dry_run=False)
    assert report.failed == [{"name": "first", "reason": "not ours"}]
    assert [each["name"] for each in report.removed] == gone == ["second"]


def test_a_dry_pass_does_nothing():
    gone = []
    report = remove_orphans([_left(900, lambda: gone.append(1))], {RUN: Owner(UNKNOWN)}, NOW, 300, dry_run=True)
    assert ([each["name"] for each in report.removed], gone) == (["pod a"], [])


class _Runs:
    def __init__(self, ends=None):
        self._ends = ends or {}

    def ends(self, runs):
        return {run: end for run, end in self._ends.items() if run in runs}

    def has_runs(self):
        return bool(self._ends)


class TestOwners:
    def test_each_run_is_told_as_airflow_has_it_and_what_is_registered_counts_as_going(self):
        going, over, new, other = map(RunKey.first_of, ("going", "over", "new", "other"))
        owners = Owners(_Runs({going: None, over: NOW}), lambda: {RunKey.first_of("new"), RunKey.first_of("over")})
        reported = owners.of(ROOT, [new, over, other, going])
        assert [Owner(**owner) for owner in reported] == [Owner(GOING), Owner(OVER, NOW), Owner(UNKNOWN), Owner(GOING)]

    def test_a_later_run_of_a_registered_training_that_airflow_has_not_is_unknown(self):
        owners = Owners(_Runs({RUN: None}), lambda: {RUN})
        assert owners.of(ROOT, [RunKey(MODEL_ID, "training-again0000")]) == [{"state": UNKNOWN, "ended_at": None}]

    def test_runs_of_two_trainings_with_one_id_are_told_apart(self):
        theirs = RunKey("training-Xz81mQ0aB", MODEL_ID)
        reported = Owners(_Runs({RUN: None, theirs: NOW}), set).of(ROOT, [theirs, RUN])
        assert [Owner(**owner) for owner in reported] == [Owner(OVER, NOW), Owner(GOING)]

    def test_a_database_without_any_run_tells_nothing(self):
        with pytest.raises(TrainyardError, match="no run of any training"):
            Owners(_Runs(), set).of(ROOT, [RUN])
        assert Owners(_Runs(), set).of(ROOT, []) == []

    def test_only_an_admin_is_told(self):
        with pytest.raises(TrainyardError) as refused:
            Owners(_Runs({RUN: None}), set).of(Caller("ada"), [RUN])
        assert refused.value.code.code == "C106"


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "soon"])
def test_a_grace_that_would_take_what_runs_still_need_is_refused(value):
    with pytest.raises(TrainyardError, match="TRAINYARD_JANITOR_GRACE_SECONDS"):
        read_settings({"TRAINYARD_JANITOR_GRACE_SECONDS": value})
