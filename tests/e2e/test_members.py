"""A plain member beside the admin: what they see, in REST, the command line and Airflow; housekeeping, run dry."""

from __future__ import annotations

import pytest
from runprograms import MEMBER
from yard import RUN_LIMIT_SECONDS, Yard

from trainyard.local.ready import wait_for

pytestmark = pytest.mark.xdist_group("other stack")


def test_a_member_reaches_the_accounts_runs_in_airflow_and_nothing_of_the_services_inside(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3")
    yard.finished(model_id)
    run = f"/api/v2/dags/{model_id}/dagRuns/{model_id}"
    log = f"{run}/taskInstances/train/logs/1?full_content=true"
    inside = ("/api/v2/connections", "/api/v2/pools", "/api/v2/dags/housekeeping", "/api/v2/eventLogs")
    answers = {place: yard.ask(MEMBER, "GET", place).status_code for place in (run, log, *inside)}
    assert answers == {run: 200, log: 200, **dict.fromkeys(inside, 403)}
    # The shipped accounts are everybody's.
    assert yard.ask(MEMBER, "GET", f"/v3/models/{model_id}").status_code == 200


def test_quota_tells_what_runs_have_used(yard: Yard) -> None:
    used = yard.finished(yard.submit("fails-with-3", program="import time\ntime.sleep(3)\n"))["outcome"]["gpu_seconds"]
    assert used > 0
    accounts = {row["account"]: row for row in yard.data("quota")["resources"]}
    assert accounts["default"]["gpus"] == 4
    assert accounts["default"]["gpu_hours"] > 0
    assert "GPU hours" in yard.trainyard("quota").stdout


def test_housekeeping_run_dry_says_what_would_go_and_leaves_it(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3")
    yard.finished(model_id)
    runs = "/api/v2/dags/housekeeping/dagRuns"
    form = {"logical_date": None, "conf": {"dry_run": True}}
    assert yard.ask(MEMBER, "POST", runs, json=form).status_code == 403
    place = f"{runs}/{yard.ask('admin', 'POST', runs, json=form).json()['dag_run_id']}"

    def ended() -> bool:
        return yard.airflow(place).json()["state"] in ("success", "failed")

    assert wait_for(ended, RUN_LIMIT_SECONDS)
    stated = yard.airflow(f"{place}/taskInstances/sweep/xcomEntries/return_value?deserialize=true").json()["value"]
    assert (stated["dry_run"], stated["failed"]) == (True, [])
    assert model_id not in stated["runs"]
    assert yard.run(model_id)["state"] == "error"
