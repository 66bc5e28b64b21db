"""A real run's metrics: seen while its program goes on, and afterwards, through REST, command line and Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard import Client
from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("stack")

# It stops halfway until it is told to go on.
PROGRAM = """
import json, os, pathlib, time
result = pathlib.Path(os.environ["RESULT_DIR"])
with pathlib.Path(os.environ["LOG_DIR"], "metrics.jsonl").open("a") as file:
    for step in range(1, 101):
        file.write(json.dumps({"step": step, "loss": 1 / step, "total_steps": 100}) + "\\n")
        file.flush()
        print(f"acc={step / 100}", flush=True)
        while step == 50 and not (result / "go").exists():
            time.sleep(0.1)
"""
_PATTERN = "metrics:\n  acc: 'acc=(?P<value>%{FLOAT})'\n"


@pytest.fixture(scope="module")
def going(yard: Yard) -> str:
    """A run of ada's whose program waits at its 50th step of 100."""
    model_id = yard.submit_as("ada", "vision", PROGRAM, lambda text: f"{text.rstrip()}\n{_PATTERN}")

    def halfway() -> bool:
        curves = yard.ask("ada", "GET", f"/v3/models/{model_id}/metrics").json().get("curves", [])
        return sorted((curve["name"], curve["count"]) for curve in curves) == [("acc", 50), ("loss", 50)]

    assert wait_for(halfway, RUN_LIMIT_SECONDS)
    return model_id


def _values(yard: Yard, model_id: str, name: str) -> list[float]:
    answer = yard.ask("ada", "GET", f"/v3/models/{model_id}/metrics?points=10000").json()
    return [value for curve in answer["curves"] if curve["name"] == name for _, _, value in curve["points"]]


def test_metrics_are_seen_live_by_their_members_and_afterwards_by_all_ways(yard: Yard, going: str) -> None:
    follower = _follow(yard, going)
    try:
        live = yard.ask("ada", "GET", f"/v3/models/{going}").json()
        assert live["metrics"] == {"loss": 0.02, "acc": 0.5}
        assert live["progress"]["fraction"] == 0.5
        assert live["owner"] == "ada"
        assert "step 50 of 100, 50 %" in yard.trainyard("show", going).stdout
        assert yard.ask("grace", "GET", f"/v3/models/{going}/metrics").status_code == 404
        assert yard.ask(None, "GET", f"/v3/models/{going}/metrics").status_code == 401
        (yard.folder / "workspace" / "runs" / going / going / "result" / "go").touch()
        ended = yard.finished(going)
        output, _ = follower.communicate(timeout=RUN_LIMIT_SECONDS)
    finally:
        follower.kill()
    assert follower.returncode == 0
    answers = [json.loads(line) for line in output.splitlines()]
    seen = [
        point[0] for one in answers for curve in one["curves"] if curve["name"] == "loss" for point in curve["points"]
    ]
    assert seen == list(range(1, 101))

    assert ended["outcome"]["metrics"]["acc"] == {"last": 1.0, "minimum": 0.01, "maximum": 1.0}
    assert ended["metrics"] == {"loss": 0.01, "acc": 1.0}
    assert _values(yard, going, "loss") == [1 / step for step in range(1, 101)]
    assert "step 100 of 100, 100 %" in yard.trainyard("metrics", going).stdout
    assert len(yard.trainyard("metrics", going, "-o", "csv").stdout.splitlines()) == 201
    assert "acc" in yard.trainyard("list", "--sort", "-acc").stdout
    with Client(yard.url, token=yard.token("ada")) as client:
        rows = client.run(going).metrics()
    assert len(rows) == 200


def test_what_was_stored_is_read_once_the_workspace_has_nothing_more(yard: Yard, going: str) -> None:
    yard.finished(going)
    lines = [json.loads(line) for line in yard.stored(going, "metrics.jsonl").splitlines()]
    assert sum("value" in line for line in lines) == 200
    assert "acc=" in yard.stored(going, "_submitted_code/manifest.yml")
    folder = yard.folder / "workspace" / "runs" / going / going
    for name in ("metrics", "metrics.json"):
        (folder / name).unlink()
    assert _values(yard, going, "acc") == [step / 100 for step in range(1, 101)]


def _follow(yard: Yard, model_id: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trainyard.cli.main", "metrics", "-f", "-o", "json", model_id]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TRAINYARD_")}
    return subprocess.Popen(command, cwd=yard.folder.parent, env=environment, stdout=subprocess.PIPE, text=True)
