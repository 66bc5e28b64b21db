"""How a pod's status becomes the outcome of a run: a table of statuses as clusters report them."""

from __future__ import annotations

import pytest
from pod_statuses import CASES, GIB, MODEL_ID, OVERDUE, RUNNING, Json, over, pod, waits

from trainyard.cluster.diagnosis import diagnose, ended, image_trouble, never_begins, waiting_reason
from trainyard.cluster.diagnosis.endings import ROWS, find_row
from trainyard.cluster.diagnosis.status import read_status
from trainyard.errors import CODES


def _id(case: tuple[str, Json | None, str | None, str]) -> str:
    return case[0]


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_every_way_to_end_has_its_code_and_a_sentence(case: tuple[str, Json | None, str | None, str]) -> None:
    row, status, code, stated = case
    found = find_row(read_status(status, gpus=2, memory=24 * GIB, now=OVERDUE))
    outcome = diagnose(status, gpus=2, memory=24 * GIB, now=OVERDUE)
    assert found is not None
    assert found.name == row
    assert outcome is not None
    assert outcome.code == code
    assert stated in outcome.message
    assert bool(outcome.hint) == bool(code)


def test_no_row_is_without_a_case() -> None:
    assert [row.name for row in ROWS if row.name not in {case[0] for case in CASES}] == []


def test_every_row_has_a_name_of_its_own_a_reason_and_a_known_code() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.why and (row.code is None or row.code in CODES) for row in ROWS)


def test_messages_are_parts_of_sentences_and_hints_are_sentences() -> None:
    for _, status, code, _ in CASES:
        outcome = diagnose(status, 1, GIB, now=OVERDUE)
        assert outcome is not None
        if code:
            assert outcome.message[0].islower()
            assert not outcome.message.endswith(".")
            assert outcome.hint[0].isupper()
            assert outcome.hint.endswith(".")


def test_no_hint_promises_another_attempt_and_that_of_a_failed_program_names_the_command_for_its_log() -> None:
    hints = {case[0]: found.hint for case in CASES if (found := diagnose(case[1], 1, GIB, now=OVERDUE)) and found.code}
    assert [row for row, hint in hints.items() if "by itself" in hint or "tried again" in hint] == []
    assert f"`trainyard logs {MODEL_ID}`" in hints["exit-code"]


def test_only_infrastructure_is_retried() -> None:
    retried = {case[0] for case in CASES if (outcome := diagnose(case[1], 1, GIB, now=OVERDUE)) and outcome.retried}
    assert {"gone", "preempted", "evicted-for-memory", "node-lost", "not-admitted", "not-started"} <= retried
    assert not {"exit-code", "out-of-memory", "deadline", "own-image-never-pulls", "killed", "too-much-disk"} & retried


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"metadata": {"name": "new"}, "status": {"phase": "Pending"}},
        pod("Pending"),
        pod("Pending", waits("ContainerCreating")),
        pod("Running", RUNNING),
        pod("Running", RUNNING, deleting=True),
        pod("Running", RUNNING, disruption="PreemptionByScheduler", deleting=True),
        pod("Running", over(143)),
        pod("Running", over(1, message="a deadline's reason may follow")),
    ],
)
def test_a_pod_that_waits_or_runs_has_not_ended(status: Json) -> None:
    assert diagnose(status, 1, GIB) is None
    assert not ended(status)


def test_an_unschedulable_pod_is_waiting_and_not_at_an_end() -> None:
    assert diagnose(unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."), 2, GIB) is None


def test_a_completed_run_says_what_the_wrapper_warned_of_once() -> None:
    warning = "trainyard: warning: the command ended before 1 of its processes (sleep 60); what still ran was stopped\n"
    outcome = diagnose(pod("Succeeded", over(0, "Completed", f"{warning}{warning}")), gpus=2, memory=GIB)
    assert outcome is not None
    assert outcome.code is None
    assert outcome.message == warning.removeprefix("trainyard: warning: ").strip()


def test_a_warning_is_not_taken_for_the_programs_last_words() -> None:
    stated = "ValueError: 1\ntrainyard: warning: an image was not run\n"
    outcome = diagnose(pod("Failed", over(1, message=stated)), gpus=2, memory=GIB)
    assert outcome is not None
    assert outcome.message == "the training program ended with exit code 1: ValueError: 1; an image was not run"


def test_a_node_that_is_silent_past_the_grace_period_is_given_up() -> None:
    lost = pod("Running", RUNNING, disruption="DeletionByTaintManager", deleting=True)
    assert not ended(lost, now=OVERDUE - 900)
    assert ended(lost, now=OVERDUE)


def test_an_image_that_may_still_arrive_is_diagnosed_but_not_ended() -> None:
    slow = pod("Pending", waits("ErrImagePull", "dial tcp: i/o timeout"))
    assert diagnose(slow, 1, GIB) is not None
    assert not ended(slow)
    assert ended(pod("Pending", waits("ErrImagePull", "manifest unknown")))


def test_a_pod_that_waits_for_what_never_comes_has_to_be_deleted() -> None:
    assert never_begins(pod("Pending", waits("ErrImagePull", "manifest unknown")))
    assert not never_begins(pod("Pending", waits("ErrImagePull", "dial tcp: i/o timeout")))
    assert not any(never_begins(pod(phase, over(1))) for phase in ("Running", "Failed"))


def test_a_gone_pod_has_ended() -> None:
    assert ended(None)


def test_gpu_seconds_count_from_the_node_to_the_end_of_the_container() -> None:
    outcome = diagnose(pod("Succeeded", over(0, "Completed")), gpus=2, memory=GIB)
    assert outcome is not None
    assert outcome.gpu_seconds == 2 * 3630
    assert outcome.finished_at is not None
    assert outcome.started_at is not None
    assert outcome.finished_at - outcome.started_at == 3600


def test_gpu_seconds_of_a_lost_pod_end_with_its_disruption() -> None:
    outcome = diagnose(pod("Failed", RUNNING, disruption="DeletionByPodGC", deleting=True), gpus=4, memory=GIB)
    assert outcome is not None
    assert outcome.gpu_seconds == 4 * 1800


def test_a_pod_that_never_got_a_node_cost_nothing() -> None:
    outcome = diagnose(None, gpus=4, memory=GIB)
    assert outcome is not None
    assert outcome.gpu_seconds == 0


def test_the_python_clients_spelling_of_a_moment_is_read_too() -> None:
    status = pod("Succeeded", over(0, "Completed"))
    status["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-03-01T11:00:30+00:00"
    assert diagnose(status, 2, GIB) == diagnose(pod("Succeeded", over(0, "Completed")), 2, GIB)


def test_a_pod_without_its_spec_is_diagnosed_all_the_same() -> None:
    status = pod("Failed", over(143), reason="DeadlineExceeded")
    del status["spec"]
    outcome = diagnose(status, 2, GIB)
    assert outcome is not None
    assert "longer than its 1.01 hours" in outcome.message


@pytest.mark.parametrize(
    ("seconds", "stated"),
    [
        (3600, "1 hour"),
        (86400, "24 hours"),
        (5400, "1.5 hours"),
        (60, "1 minute"),
        (600, "10 minutes"),
        (2, "2 seconds"),
    ],
)
def test_a_deadline_is_told_in_hours_or_minutes(seconds: int, stated: str) -> None:
    status = pod("Failed", over(137), reason="DeadlineExceeded")
    status["spec"]["activeDeadlineSeconds"] = seconds
    outcome = diagnose(status, 1, GIB)
    assert outcome is not None
    assert outcome.message == f"the run was ended because it took longer than its {stated}"


def unschedulable(message: str, gpus: str = "2") -> Json:
    status = pod("Pending")
    status["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": gpus} if gpus else {"memory": "1Gi"}}
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status["status"]["conditions"] = [condition]
    return status


@pytest.mark.parametrize(
    ("status", "stated"),
    [
        (
            unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
            "waiting for 2 GPUs: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu",
        ),
        (unschedulable("0/3 nodes are available.", gpus="1"), "waiting for 1 GPU: 0/3 nodes are available"),
        (unschedulable("1 Insufficient cpu.", gpus=""), "waiting for a place on a node: 1 Insufficient cpu"),
        (unschedulable(""), "waiting for 2 GPUs"),
        (pod("Pending"), "the node prepares the image registry.example/tensorflow:2.20"),
        (
            pod("Pending", waits("ImagePullBackOff", "i/o timeout")),
            "the image registry.example/tensorflow:2.20 does not arrive: i/o timeout",
        ),
        (pod("Running", RUNNING), ""),
        (pod("Failed", over(1)), ""),
        ({}, "waiting for a place on a node"),
    ],
)
def test_people_are_told_what_a_pod_waits_for(status: Json, stated: str) -> None:
    assert waiting_reason(status) == stated


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (pod("Pending", waits("ErrImagePull", "dial tcp: i/o timeout")), "dial tcp: i/o timeout"),
        (pod("Pending", waits("ImagePullBackOff")), "ImagePullBackOff"),
        (pod("Pending", waits("InvalidImageName", "bad\nname")), "bad name"),
        (pod("Pending", waits("ContainerCreating")), None),
        (pod("Running", RUNNING), None),
    ],
)
def test_trouble_with_an_image_is_told_while_a_pod_waits(status: Json, trouble: str | None) -> None:
    assert image_trouble(status) == trouble
