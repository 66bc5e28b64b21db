"""Accounts own GPUs: what fits runs together, what does not waits, what never can is refused."""

from __future__ import annotations

from datetime import datetime

import pytest
from runprograms import UNTIL_LET_END, trigger
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("stack")


def _of_size(size: str):
    return lambda text: text.replace("resource: small", f"resource: {size}")


def _span(yard: Yard, model_id: str) -> tuple[str, str]:
    outcome = yard.finished(model_id)["outcome"]
    assert outcome["code"] is None, outcome
    return outcome["started_at"], outcome["finished_at"]


def test_small_medium_and_small_train_together_on_four_gpus(yard: Yard) -> None:
    runs = [
        yard.submit("fails-with-3", change=_of_size(size), program=UNTIL_LET_END)
        for size in ("small", "medium", "small")
    ]
    for model_id in runs:
        yard.until(model_id, lambda run: run["phase"] == "training")
    assert {yard.run(model_id)["phase"] for model_id in runs} == {"training"}
    for model_id in runs:
        yard.let_end(model_id)
    for model_id in runs:
        _span(yard, model_id)


def _the_only_one_that_trains(yard: Yard, runs: list[str]) -> str:
    found: list[str] = []

    def one_trains() -> bool:
        found[:] = [model_id for model_id in runs if yard.run(model_id)["phase"] == "training"]
        return bool(found)

    assert wait_for(one_trains, RUN_LIMIT_SECONDS)
    (first,) = found
    return first


def test_with_a_quota_of_one_the_second_run_waits_and_starts_when_the_first_ends(yard: Yard) -> None:
    runs = [yard.submit("fails-with-3", account="free", program=UNTIL_LET_END) for _ in range(2)]
    first = _the_only_one_that_trains(yard, runs)
    (second,) = set(runs) - {first}
    waiting = yard.until(second, lambda run: run["phase"] in ("waiting-for-gpu", "training"))
    assert (waiting["phase"], waiting["state"]) == ("waiting-for-gpu", "pending")
    for model_id in (first, second):
        yard.until(model_id, lambda run: run["phase"] == "training")
        yard.let_end(model_id)
    (_, first_end), (second_start, _) = sorted(_span(yard, model_id) for model_id in runs)
    assert first_end <= second_start


def test_a_training_ends_although_a_run_that_comes_before_it_waits_for_its_gpu(yard: Yard) -> None:
    first = yard.submit("fails-with-3", account="free", program=UNTIL_LET_END)
    yard.until(first, lambda run: run["phase"] == "training")
    # Airflow takes triggered runs, which have no date, before all others.
    second = trigger(yard, first, {}).json()["dag_run_id"]
    yard.until(second, lambda run: run["phase"] == "waiting-for-gpu")
    yard.let_end(first)
    assert yard.finished(first)["state"] == "completed"
    assert yard.run(second)["finished_at"] is None
    yard.trainyard("cancel", second)
    assert yard.finished(second)["state"] == "canceled"


def test_more_gpus_than_the_account_owns_are_refused_at_the_door(yard: Yard) -> None:
    manifest, model = yard.files("fails-with-3", _of_size("medium"))
    refusal = yard.data("train", str(model), str(manifest), "--account", "free", fails=True)["error"]
    (problem,) = refusal["problems"]
    assert (refusal["code"], problem["path"]) == ("C104", "model_definition.execution.resource")
    assert problem["line"]
    assert "small" in problem["hint"]


def test_every_fault_of_a_submission_is_told_at_once_and_nothing_is_registered(yard: Yard) -> None:
    before = yard.data("list")["total"]
    manifest, model = yard.files("fails-with-3", lambda text: _of_size("gigantic")(text).replace("'1.9'", "'0.1'"))
    model.write_bytes(b"\x1f\x8b not a zip")
    problems = yard.data("train", str(model), str(manifest), fails=True)["error"]["problems"]
    assert {"C101", "C102", "C104"} == {problem["code"] for problem in problems}
    assert yard.data("list")["total"] == before


def test_a_run_knows_when_it_was_submitted_started_and_finished(yard: Yard) -> None:
    run = yard.finished(yard.submit("fails-with-3"))
    moments = [datetime.fromisoformat(run[key]) for key in ("submitted_at", "running_at", "finished_at")]
    assert moments == sorted(moments)
