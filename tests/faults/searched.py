"""A search that has ended, read from everywhere that reports it, as `search_broken` judges it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trainyard.local.demo import RESULTS_BUCKET

if TYPE_CHECKING:
    from yard import Yard

# Each trial writes a line when it begins, which is stored with its results.
PROGRAM = """
import json, os, pathlib, time
with open(pathlib.Path(os.environ["RESULT_DIR"], "starts.txt"), "a") as starts:
    starts.write("start\\n")
time.sleep(2)
log = pathlib.Path(os.environ["LOG_DIR"], "metrics.jsonl")
log.write_text(json.dumps({"step": 1, "score": -abs(float(os.environ["x"]) - 0.7)}) + "\\n")
"""
SEARCH = """
search: {metric: score, goal: maximize, trials: %d, parallel: %d, space: {x: {low: 0.0, high: 1.0}}, seed: 1}
"""


def read_search(yard: Yard, name: str) -> dict[str, Any]:
    """Return the search, its runs, how often each program was started, and its study in the bucket."""
    runs = yard.data("list", "--experiment", name)["resources"]
    study = yard.folder / "objects" / RESULTS_BUCKET / name / "study.json"
    return {
        "search": yard.data("experiments", "show", name),
        "runs": runs,
        "starts": {run["model_id"]: _starts(yard, run["model_id"]) for run in runs},
        "study": json.loads(study.read_text()),
    }


def _starts(yard: Yard, model_id: str) -> int:
    try:
        return len(yard.stored(model_id, "starts.txt").splitlines())
    except FileNotFoundError:
        return 0
