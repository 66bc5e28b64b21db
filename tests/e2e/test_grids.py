"""Several runs at once, what a run waits for, and its results, on a real stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runprograms import UNTIL_LET_END
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

PROGRAM = """
import json, os, pathlib
pathlib.Path(os.environ["RESULT_DIR"], "model").mkdir()
pathlib.Path(os.environ["RESULT_DIR"], "model", "lr.json").write_text(json.dumps(os.environ["lr"]))
print("learning rate", os.environ["lr"])
"""


def _tuned(text: str) -> str:
    return text.replace("  execution:\n", "  execution:\n    hyperparameters: {lr: 0.5}\n")


@pytest.fixture(scope="module")
def grid(yard: Yard) -> list[str]:
    """Two runs of one manifest, each with a learning rate of its own."""
    manifest, model = yard.files("fails-with-3", _tuned, PROGRAM)
    words = ("train", str(model), str(manifest), "--experiment", "grid of rates", "--set", "lr=0.1,0.01")
    ids: list[str] = yard.data(*words)["model_ids"]
    return ids


def test_a_grid_trains_each_run_with_its_own_value_and_lists_them_together(yard: Yard, grid: list[str]) -> None:
    for model_id, rate in zip(grid, ("0.1", "0.01"), strict=True):
        run = yard.finished(model_id)
        assert (run["state"], run["training_id"]) == ("completed", grid[0])
        assert run["overrides"] == {"lr": float(rate)}
        assert json.loads(yard.stored(model_id, "model/lr.json")) == rate
    assert "2 runs" in yard.airflow(f"/api/v2/dags/{grid[0]}/details").json()["dag_display_name"]
    found = yard.data("list", "--experiment", "grid of rates", "--state", "completed")
    assert [run["model_id"] for run in found["resources"]] == grid
    assert yard.data("list", "--experiment", "grid of rates", "--state", "error")["total"] == 0


def test_a_log_is_followed_from_before_the_pod_with_what_is_waited_for_beside_it(yard: Yard, tmp_path: Path) -> None:
    first = yard.submit("fails-with-3", account="free", program=UNTIL_LET_END)
    yard.until(first, lambda run: run["phase"] == "training")
    manifest, model = yard.files("fails-with-3", _tuned, PROGRAM)
    model_id = yard.data("train", str(model), str(manifest), "--account", "free")["model_id"]
    shown, remarks = tmp_path / "shown", tmp_path / "remarks"
    with yard.started("logs", "--follow", model_id, shown=shown, remarks=remarks) as following:
        assert wait_for(lambda: f"{model_id}: waiting for a GPU" in remarks.read_text(), RUN_LIMIT_SECONDS)
        yard.let_end(first)
        assert following.wait(RUN_LIMIT_SECONDS) == 0
    assert shown.read_text() == "learning rate 0.5\n"


def test_results_are_downloaded_as_they_are_stored(yard: Yard, grid: list[str], tmp_path: Path) -> None:
    yard.finished(grid[0])
    done = yard.data("download", grid[0], str(tmp_path / "here"))
    assert done["files"] == yard.results(grid[0])
    for name, size in done["files"].items():
        assert (tmp_path / "here" / name).stat().st_size == size
    assert (tmp_path / "here" / "learner-1" / "training-log.txt").read_text() == "learning rate 0.1\n"
