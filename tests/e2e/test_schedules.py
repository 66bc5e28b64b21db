"""Scheduled retraining on a real stack: due by a cron, due by new data, paused and ended."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from runprograms import SLOW
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.core.schedules import Schedules
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("stack")

_QUICK = SLOW.format(seconds=0)


def _submit(yard: Yard, schedule: str) -> str:
    model_id = yard.submit("fails-with-3", change=lambda text: f"{text}\nschedule: {schedule}\n", program=_QUICK)
    assert yard.finished(model_id)["state"] == "completed"
    return model_id


def _let_time_pass(yard: Yard, training_id: str) -> None:
    """Make the schedule's last minute one that nobody has looked at yet."""
    schedules = Schedules(yard.folder / "catalogue")
    with schedules.locked():
        entry = schedules.get(training_id)
        assert entry is not None
        schedules.keep(replace(entry, progress=replace(entry.progress, settled=time.time() - 61)))


def _schedule(yard: Yard, training_id: str) -> dict[str, object]:
    found: dict[str, object] = yard.service.schedule(training_id).as_data()
    return found


def _next_run(yard: Yard, training_id: str, before: str) -> str:
    """Wait until a run newer than `before` is there, and return its id."""
    newest: list[str] = []

    def changed() -> bool:
        newest[:] = [str(_schedule(yard, training_id)["last_run"])]
        return newest[0] != before

    assert wait_for(changed, RUN_LIMIT_SECONDS), _schedule(yard, training_id)
    return newest[0]


def test_a_cron_trains_again_under_a_new_model_id_until_it_is_ended(yard: Yard) -> None:
    first = _submit(yard, "{cron: '* * * * *', overlap: wait}")
    _let_time_pass(yard, first)
    again = _next_run(yard, first, first)
    run = yard.finished(again)
    assert (run["state"], run["training_id"]) == ("completed", first)
    assert yard.results(again).keys() == yard.results(first).keys()
    assert yard.data("pause", first)["state"] == "paused"
    assert _schedule(yard, first)["next_at"] is None
    assert yard.data("resume", first)["state"] == "active"
    assert yard.data("unschedule", first, "--yes")["state"] == "ended"
    newest = _schedule(yard, first)["last_run"]
    yard.finished(str(newest))
    _let_time_pass(yard, first)
    assert yard.data("resume", first, fails=True)["error"]["code"] == "C111"


def test_new_data_trains_again_and_the_same_data_does_not(yard: Yard) -> None:
    first = _submit(yard, "{on: new-data, every: 1m}")
    _let_time_pass(yard, first)
    reported = "the data is as it was when it was trained last"
    assert wait_for(lambda: _schedule(yard, first)["note"] == reported, RUN_LIMIT_SECONDS), _schedule(yard, first)
    assert _schedule(yard, first)["last_run"] == first
    new = yard.folder / "objects" / "digits-training-data" / f"more-{first}"
    new.write_text("new")
    _let_time_pass(yard, first)
    again = _next_run(yard, first, first)
    yard.trainyard("unschedule", first, "--yes")
    assert yard.finished(again)["state"] == "completed"
    new.unlink()


def test_a_run_with_a_schedule_is_not_removed_at_once_and_its_schedule_is_back_with_it(yard: Yard) -> None:
    first = _submit(yard, "'@yearly'")
    refused = yard.data("delete", first, "--yes", "--now", fails=True)["error"]
    assert (refused["code"], f"trainyard unschedule {first}" in refused["hint"]) == ("C111", True)
    yard.trainyard("delete", first, "--yes")
    assert first not in str(yard.data("schedules", "--all"))
    yard.trainyard("undelete", first)
    assert first in str(yard.data("schedules"))
    yard.trainyard("unschedule", first, "--yes")
    yard.trainyard("delete", first, "--yes", "--now")
    assert yard.data("show", first, fails=True)["error"]["code"] == "C107"
    assert not [each for each in yard.data("schedules", "--all")["resources"] if each["training_id"] == first]
