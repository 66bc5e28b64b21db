"""The audit log on the whole stack: what was done to a run is read by the admin, and by no member."""

from __future__ import annotations

import pytest
from runprograms import MEMBER
from yard import Yard

pytestmark = pytest.mark.xdist_group("other stack")


def test_a_runs_whole_life_is_in_the_audit_log_and_the_admin_alone_reads_it(yard: Yard) -> None:
    model_id = yard.submit("fails-with-3")
    yard.finished(model_id)
    assert yard.ask(MEMBER, "GET", f"/v3/models/{model_id}/logs").status_code == 200
    assert yard.ask(MEMBER, "DELETE", f"/v3/models/{model_id}").status_code == 204
    assert yard.ask(MEMBER, "DELETE", f"/v3/models/{model_id}").status_code == 404
    assert yard.ask(MEMBER, "GET", "/v3/audit").status_code == 403
    events = yard.data("audit", "--run", model_id)["resources"]
    assert [(event["actor"], event["action"], event["result"]) for event in events] == [
        ("admin", "submit", "ok"),
        (MEMBER, "log.read", "ok"),
        (MEMBER, "delete", "ok"),
        (MEMBER, "delete", "refused"),
    ]
    assert {event["remote"] for event in events} == {"127.0.0.1"}
    refused = yard.data("audit", "--actor", MEMBER, "--result", "refused")["resources"]
    assert ("audit.read", "C106") in [(event["action"], event["code"]) for event in refused]
