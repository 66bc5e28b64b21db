"""What Airflow's own pages show of a run: its program's output while it runs, how it ended, and where more is."""

from __future__ import annotations

from typing import Any

import pytest
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

PROGRAM = r"""
import os, pathlib, sys, time
print("\x1b[31mbegun\x1b[0m ::group::x \u202e <script>", flush=True)
while not pathlib.Path(os.environ["RESULT_DIR"], "go").exists():
    time.sleep(0.1)
for number in range(300_000):
    print("flood", number)
sys.exit("giving up")
"""


def _log(yard: Yard, model_id: str, step: str) -> list[dict[str, Any]]:
    run = f"/api/v2/dags/{model_id}/dagRuns/{model_id}"
    found = yard.airflow(f"{run}/taskInstances/{step}/logs/1?full_content=true").json()["content"]
    return [line if isinstance(line, dict) else {"event": line} for line in found]


def _texts(yard: Yard, model_id: str, step: str = "train") -> list[str]:
    return [str(line["event"]) for line in _log(yard, model_id, step)]


def test_the_train_log_has_the_output_live_and_its_end_in_one_block(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", program=PROGRAM)
    begun = "│ begun : :group::x \\u202e <script>"
    yard.until(model_id, lambda run: run["phase"] == "training")
    assert wait_for(lambda: begun in _texts(yard, model_id), RUN_LIMIT_SECONDS)
    yard.let_end(model_id)
    yard.finished(model_id)
    lines = _log(yard, model_id, "train")
    texts = [str(line["event"]) for line in lines]
    page = f"Run: {yard.url}/trainyard/runs/{model_id}"
    assert texts.count(page) == 2
    assert texts.count(begun) == 1
    assert "│ flood 299999" in texts
    assert any("are left out" in text for text in texts)
    assert sum(map(len, texts)) < 2 * 1024**2
    (failure,) = [line for line in lines if line.get("level") == "error"]
    first, hint, *words = str(failure["event"]).splitlines()
    assert first.startswith("C201, a fault of the submission: the training program ended with exit code 1")
    assert hint.startswith("Hint: ")
    assert words[-1] == "    giving up"
    assert not [line for line in lines if line.get("error_detail")]


def test_a_refusal_has_no_traceback_in_its_steps_log(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", change=lambda text: text.replace("digits-training-data", "no-such-bucket"))
    assert yard.finished(model_id)["outcome"]["code"] == "C103"
    lines = _log(yard, model_id, "validate")
    assert [str(line["event"])[:5] for line in lines if line.get("level") == "error"] == ["C103,", "Task "]
    assert not [line for line in lines if line.get("error_detail")]
