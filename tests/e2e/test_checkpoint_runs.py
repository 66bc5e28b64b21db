"""Checkpoints of real runs: copied to the bucket while the program runs, and gone on from by another run."""

from __future__ import annotations

import pytest
import yaml
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")

# Writes a checkpoint, or goes on from one, and waits to be let end.
PROGRAM = """
import os, pathlib, time
checkpoints, begun = pathlib.Path(os.environ["CHECKPOINT_DIR"]), os.environ.get("RESUME_FROM", "")
epoch = int((checkpoints / begun).read_text()) + 1 if begun else 1
print("epoch", epoch, flush=True)
half = checkpoints / "half.tmp"
half.write_text(str(epoch))
half.rename(checkpoints / f"epoch-{epoch}.ckpt")
while not pathlib.Path(os.environ["RESULT_DIR"], "go").exists():
    time.sleep(0.1)
"""


def _copied_each_minute(text: str) -> str:
    return yaml.safe_dump({**yaml.safe_load(text), "checkpoint": {"every": "1m", "keep": 2}})


def test_a_checkpoint_is_in_the_bucket_while_the_program_runs_and_another_run_goes_on_from_it(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3", change=_copied_each_minute, program=PROGRAM)
    yard.until(model_id, lambda run: run["phase"] == "training")
    assert wait_for(lambda: "learner-1/resume.json" in yard.results(model_id), RUN_LIMIT_SECONDS), yard.results(
        model_id
    )
    assert yard.run(model_id)["state"] == "running"
    yard.let_end(model_id)
    assert yard.finished(model_id)["state"] == "completed"
    again = yard.data("rerun", model_id, "--resume")["model_id"]
    yard.until(again, lambda run: run["phase"] == "training")
    yard.let_end(again)
    assert yard.finished(again)["state"] == "completed"
    assert yard.stored(again, "learner-1/training-log.txt") == "epoch 2\n"
    assert yard.run(again)["parent"] == model_id
