"""A search on a real stack: its trials, the best of them, what is stopped early, and what is stored of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from faults.invariants import search_broken
from faults.searched import PROGRAM as STARTED
from faults.searched import SEARCH as KILLED
from faults.searched import read_search
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

# The nearer to 0.7, the better; it says so step by step, and goes on for as long as it is let where it does badly.
PROGRAM = """
import json, os, pathlib, time
x = float(os.environ["x"])
log = pathlib.Path(os.environ["LOG_DIR"], "metrics.jsonl").open("a")
steps = 400 if x > 5 else 4
for step in range(1, steps + 1):
    log.write(json.dumps({"step": step, "score": -abs(x - 0.7)}) + "\\n")
    log.flush()
    time.sleep(0.1)
pathlib.Path(os.environ["RESULT_DIR"], "x.txt").write_text(str(x))
"""
SEARCH = """
search:
  metric: score
  goal: maximize
  trials: 8
  parallel: 3
  pruner: median
  space: {x: {low: 0.0, high: 1.0}}
  points: [{x: 0.65}, {x: 0.8}, {x: 0.9}, {x: 0.95}]
  seed: 1
"""


def _searched(text: str) -> Callable[[str], str]:
    return lambda manifest: manifest + text


@pytest.fixture(scope="module")
def search(yard: Yard) -> str:
    """A search that has ended, by the id of its training."""
    model_id = yard.submit("fails-with-3", experiment="tuning", change=_searched(SEARCH), program=PROGRAM)
    assert wait_for(lambda: _over(yard, "tuning"), 2 * RUN_LIMIT_SECONDS)
    return model_id


def _over(yard: Yard, name: str) -> bool:
    found = yard.service.search(name).as_data()
    return found["state"] in ("over", "canceled") and not {"waiting", "running"} & found["counts"].keys()


def test_a_search_has_exactly_its_trials_in_one_training_and_finds_the_best(yard: Yard, search: str) -> None:
    found = yard.data("experiments", "show", "tuning")
    assert [trial["number"] for trial in found["trials"]] == list(range(8))
    runs = yard.data("list", "--experiment", "tuning")["resources"]
    assert {run["training_id"] for run in runs} == {search}
    assert sorted(run["model_id"] for run in runs) == sorted(trial["model_id"] for trial in found["trials"])
    best = min(found["trials"], key=lambda trial: abs(trial["point"]["x"] - 0.7))
    assert yard.trainyard("best", "tuning").stdout == f"{best['model_id']}\n"
    assert found["best"]["value"] == pytest.approx(-abs(best["point"]["x"] - 0.7))
    shown = yard.run(found["trials"][1]["model_id"])
    assert (shown["overrides"], shown["trial"]) == ({"x": 0.8}, 1)


def test_the_best_is_downloaded_by_its_experiment(yard: Yard, search: str, tmp_path: Path) -> None:
    best = yard.data("best", search)["model_id"]
    done = yard.data("download", "tuning@best", str(tmp_path / "here"))
    assert done["model_id"] == best
    (stored,) = (tmp_path / "here").rglob("x.txt")
    assert float(stored.read_text()) == yard.run(best)["hyperparameters"]["x"]


def test_its_study_lies_in_the_bucket_and_optuna_reads_it_back(yard: Yard, search: str) -> None:
    assert yard.data("experiments", "show", search)["state"] == "over"
    assert wait_for(lambda: "study.json" in yard.results("tuning"), RUN_LIMIT_SECONDS)
    data = json.loads(yard.stored("tuning", "study.json"))
    study = optuna.create_study(direction=data["direction"])
    for trial in data["trials"]:
        known = {name: optuna.distributions.json_to_distribution(text) for name, text in trial["distributions"].items()}
        state = optuna.trial.TrialState[trial["state"]]
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=trial["value"],
                params=trial["params"],
                distributions=known,
                intermediate_values={int(step): value for step, value in trial["intermediate_values"].items()},
            )
        )
    assert study.best_value == pytest.approx(yard.data("experiments", "show", search)["best"]["value"])
    assert len(study.trials) == 8


def test_what_does_badly_is_stopped_early_and_completed_with_what_it_has(yard: Yard, search: str) -> None:
    assert search
    text = (
        SEARCH.replace("high: 1.0", "high: 9.0").replace("trials: 8", "trials: 5").replace("0.95}", "0.95}, {x: 9.0}")
    )
    yard.submit("fails-with-3", experiment="pruned", change=_searched(text), program=PROGRAM)
    assert wait_for(lambda: _over(yard, "pruned"), RUN_LIMIT_SECONDS)
    bad = yard.data("experiments", "show", "pruned")["trials"][4]
    run = yard.run(bad["model_id"])
    assert (bad["state"], run["state"]) == ("stopped", "completed")
    assert run["outcome"]["message"].startswith("stopped early at step ")
    assert "metrics.jsonl" in yard.results(bad["model_id"])


def test_a_search_is_paused_extended_and_ended(yard: Yard, search: str) -> None:
    assert yard.data("experiments", "extend", search, "--trials", "+1")["total"] == 9
    assert wait_for(lambda: len(yard.service.search(search).trials) == 9, RUN_LIMIT_SECONDS)
    assert yard.data("experiments", "pause", search)["state"] == "paused"
    assert yard.data("experiments", "cancel", search)["state"] in ("paused", "canceled")
    assert wait_for(lambda: _over(yard, search), RUN_LIMIT_SECONDS)
    yard.trainyard("experiments", "pause", search, fails=True)


def test_a_search_goes_on_where_it_was_when_what_drives_it_is_killed(yard: Yard) -> None:
    total, many = 5, 2
    yard.submit("fails-with-3", experiment="killed", change=_searched(KILLED % (total, many)), program=STARTED)

    def counts() -> dict[str, int]:
        found: dict[str, int] = yard.data("experiments", "show", "killed")["counts"]
        return found

    assert wait_for(lambda: counts().get("running", 0) > 0, RUN_LIMIT_SECONDS)
    yard.kill("triggerer")
    yard.kill("api-server")
    yard.up(print)
    assert wait_for(lambda: _over(yard, "killed"), 2 * RUN_LIMIT_SECONDS)
    assert list(search_broken(total=total, **read_search(yard, "killed"))) == []
