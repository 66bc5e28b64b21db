"""Programs of runs, and who submits them."""

from __future__ import annotations

import json
from typing import Any

import httpx
from yard import Yard

MEMBER = "ada"

SLOW = """
import os, pathlib, time
pathlib.Path(os.environ["RESULT_DIR"], "so-far.txt").write_text("half a model")
print("training", flush=True)
time.sleep({seconds})
"""

# A program that has half a model and goes on when `Yard.let_end` lets it.
UNTIL_LET_END = """
import os, pathlib, time
results = pathlib.Path(os.environ["RESULT_DIR"])
(results / "so-far.txt").write_text("half a model")
print("training", flush=True)
while not (results / "go").exists():
    time.sleep(0.1)
"""
LONG = SLOW.format(seconds=600)

# What a run keeps in the workspace until its time in the list is over.
LEFT_BEHIND = {"logs", "state", "stored", "dataset", "metrics", "metrics.json", "metrics.lock", "shown"}


def trigger(yard: Yard, training: str, values: dict[str, Any]) -> httpx.Response:
    client = json.loads((yard.folder / "client.json").read_text())
    account = {"username": client["username"], "password": client["password"]}
    token = httpx.post(f"{client['url']}/auth/token", json=account, timeout=120).json()["access_token"]
    return httpx.post(
        f"{client['url']}/api/v2/dags/{training}/dagRuns",
        headers={"Authorization": f"Bearer {token}"},
        json={"logical_date": None, "conf": values},
        timeout=120,
    )
