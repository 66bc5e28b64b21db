"""A log that is followed from before its program starts to its end, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("stack")

# It goes on when it is told to, and at the second attempt by itself.
COUNTING = """
import os, pathlib, time
result = pathlib.Path(os.environ["RESULT_DIR"])
again = (result / "begun").exists()
(result / "begun").touch()
for number in range(100):
    print(f"{'again' if again else 'first'} {number}", flush=True)
    while number == 50 and not again and not (result / "go").exists():
        time.sleep(0.1)
"""


def _lines(attempt: str, count: int) -> str:
    return "".join(f"{attempt} {number}\n" for number in range(count))


def _halfway(file: Path) -> bool:
    return wait_for(lambda: file.read_text() == _lines("first", 51), RUN_LIMIT_SECONDS)


def test_a_followed_log_survives_the_death_of_the_api_server_whole_and_without_repetition(
    yard: Yard, tmp_path: Path
) -> None:
    model_id = yard.submit("fails-with-3", program=COUNTING)
    with yard.started("logs", "--follow", model_id, shown=tmp_path / "log") as follower:
        assert _halfway(tmp_path / "log")
        server = psutil.Process(yard.stack.status()["api-server"]["pid"])
        for process in (*server.children(recursive=True), server):
            process.kill()
        (yard.folder / "workspace" / "runs" / model_id / model_id / "result" / "go").touch()
        yard.up(print)
        assert follower.wait(RUN_LIMIT_SECONDS) == 0
    assert (tmp_path / "log").read_text() == _lines("first", 100)
    assert yard.finished(model_id)["state"] == "completed"


def test_a_training_whose_pod_is_lost_is_tried_again_and_its_log_is_followed_throughout(
    yard: Yard, tmp_path: Path
) -> None:
    model_id = yard.submit("fails-with-3", program=COUNTING)
    with yard.started("logs", "--follow", model_id, shown=tmp_path / "log") as follower:
        assert _halfway(tmp_path / "log")
        (pod,) = [pod for pod in yard.pods() if model_id.lower() in pod]
        yard.kubectl("delete", pod, "--grace-period=1", "--wait=false")
        assert follower.wait(RUN_LIMIT_SECONDS) == 0
    assert (tmp_path / "log").read_text() == _lines("first", 51) + _lines("again", 100)
    assert yard.finished(model_id)["state"] == "completed"
    train = yard.airflow(f"/api/v2/dags/{model_id}/dagRuns/{model_id}/taskInstances/train").json()
    assert (train["state"], train["try_number"]) == ("success", 2)
