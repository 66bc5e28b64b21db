"""The doctor on the whole stack: everything is well, and nothing of it stays."""

from __future__ import annotations

import pytest
from yard import Yard

pytestmark = pytest.mark.xdist_group("other stack")

CHECKS = ["api-server", "scheduler", "triggerer", "dag-processor", "pools", "tenants", "audit log"]
CHECKS += ["notifications", "fernet key", "cluster", "rights", "clocks", "gpus", "inbox", "image", "workspace"]


def test_a_stack_that_is_up_is_well_and_the_doctor_leaves_nothing_behind(yard: Yard) -> None:
    found = yard.data("doctor")
    assert [(one["check"], one["state"]) for one in found["findings"]] == [(name, "ok") for name in CHECKS], found
    assert not list(yard.folder.glob("workspace/probes/doctor-*"))
    assert "doctor-" not in yard.kubectl("get", "pods")
