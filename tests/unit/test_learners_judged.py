"""How a run of several learners stands: the outcome that is folded from the pods of all of them."""

from __future__ import annotations

import copy
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from pod_statuses import CASES, GIB, OVERDUE, RUNNING, Json, over, pod

from trainyard.cluster.diagnosis import diagnose, ended
from trainyard.cluster.diagnosis.learners import Patience, Verdict, judge
from trainyard.cluster.labels import LEARNER

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
PATIENCE = Patience(placement=60, first=60)


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(NOON + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def running(scheduled: float = -100) -> Json:
    return _at(pod("Running", RUNNING), scheduled)


def failed(exit_code: int, at: float = 0, message: str = "", reason: str = "Error", **parts: Any) -> Json:
    state = over(exit_code, reason, message)
    state["terminated"] |= {"startedAt": moment(-90), "finishedAt": moment(at)}
    return _at(pod("Failed", state, **parts), -100)


def done(at: float = 0) -> Json:
    state = over(0, "Completed")
    state["terminated"] |= {"startedAt": moment(-90), "finishedAt": moment(at)}
    return _at(pod("Succeeded", state), -100)


def evicted(at: float = 0) -> Json:
    return failed(137, at, reason="Error") | {
        "status": {**failed(137, at)["status"], "reason": "Evicted", "message": "The node was low on resource: memory."}
    }


def waiting(why: str = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.") -> Json:
    found = pod("Pending")
    found["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": why}]
    return found


def told_to_go(one: Json, asked: float, grace: int = 30) -> Json:
    """The pod as it is once somebody has asked for its end."""
    found = copy.deepcopy(one)
    found["metadata"] |= {"deletionTimestamp": moment(asked + grace), "deletionGracePeriodSeconds": grace}
    return found


def _at(one: Json, scheduled: float) -> Json:
    one["status"]["conditions"][0]["lastTransitionTime"] = moment(scheduled)
    return one


def judged(*pods: Json | None, now: float = 10) -> Verdict:
    numbered = copy.deepcopy(pods)
    for number, each in enumerate(numbered, 1):
        if each:
            each["metadata"]["labels"][LEARNER] = str(number)
    return judge(numbered, 2, 24 * GIB, PATIENCE, NOON + now)


class TestOne:
    @pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)])
    def test_one_learner_is_judged_as_its_pod_is_diagnosed(self, case: tuple[Any, ...]) -> None:
        status = case[1]
        verdict = judge([status], 2, 24 * GIB, PATIENCE, OVERDUE)
        final = ended(status, OVERDUE)
        assert verdict.outcome == (diagnose(status, 2, 24 * GIB, OVERDUE) if final else None)
        assert verdict.missing == ""

    def test_one_learner_that_waits_is_never_taken_back(self) -> None:
        assert judged(waiting(), now=10_000) == Verdict()


class TestFailure:
    def test_one_that_fails_decides_for_all_and_the_others_are_to_be_ended(self) -> None:
        verdict = judged(running(), failed(3, message="no labels"), running())
        assert verdict.outcome is not None
        assert verdict.going == (1, 3)
        assert (verdict.outcome.code, verdict.outcome.exit_code) == ("C201", 3)
        assert verdict.outcome.message == "learner 2 of 3: the training program ended with exit code 3: no labels"
        assert "--learner 2`" in verdict.outcome.hint

    def test_the_first_to_fail_counts_and_not_those_that_missed_it(self) -> None:
        verdict = judged(failed(1, 5, "connection reset"), failed(3, 2, "no labels"), failed(1, 4, "connection reset"))
        assert verdict.outcome is not None
        assert verdict.outcome.message.startswith("learner 2 of 3")

    def test_of_those_that_fail_in_the_same_second_the_first_learner_counts(self) -> None:
        verdict = judged(done(0), failed(4, 2), failed(3, 2))
        assert verdict.outcome is not None
        assert verdict.outcome.exit_code == 4

    def test_memory_that_ran_out_is_the_reason_why_the_others_lost_their_peer(self) -> None:
        verdict = judged(failed(1, 1, "connection reset"), failed(137, 2, reason="OOMKilled"))
        assert verdict.outcome is not None
        assert verdict.outcome.code == "C202"
        assert verdict.outcome.message.startswith("learner 2 of 2: the training program ran out of memory")

    @pytest.mark.parametrize("lost", [evicted(3), failed(255, 3, reason="Unknown"), None])
    def test_what_the_infrastructure_took_comes_before_what_its_peers_say(self, lost: Json | None) -> None:
        peers = [running()] if lost is None else [failed(1, 2, "connection reset")]
        verdict = judged(*peers, lost)
        assert verdict.outcome is not None
        assert verdict.outcome.retried
        assert verdict.outcome.message.startswith("learner 2 of 2")

    def test_one_that_was_stopped_because_another_failed_is_no_cause(self) -> None:
        stopped = told_to_go(failed(143, 6), asked=1)
        for others in itertools.permutations([stopped, told_to_go(running(), asked=1), None]):
            verdict = judged(failed(3, 0), *others)
            assert verdict.outcome is not None
            assert (verdict.outcome.code, verdict.outcome.exit_code) == ("C201", 3)

    def test_one_that_somebody_deleted_before_the_others_failed_is_the_cause(self) -> None:
        verdict = judged(failed(1, 0, "connection reset"), told_to_go(failed(143, 1), asked=-20))
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.outcome.retried) == ("S102", True)

    def test_of_several_that_were_deleted_the_first_to_be_asked_is_the_cause(self) -> None:
        verdict = judged(told_to_go(failed(143, 3), asked=2), told_to_go(failed(143, 9), asked=0))
        assert verdict.outcome is not None
        assert verdict.outcome.message.startswith("learner 2 of 2")

    @pytest.mark.parametrize("taken", [None, told_to_go(failed(143, 1), asked=0)])
    def test_one_that_was_stopped_is_no_cause_even_of_what_left_no_trace(self, taken: Json | None) -> None:
        for stopped in (None, told_to_go(failed(143, 1), asked=0)):
            verdict = judge([stopped, taken], 2, 24 * GIB, PATIENCE, NOON + 10, stopped={1})
            assert verdict.outcome is not None
            assert (verdict.outcome.code, verdict.learner) == ("S102", 2)

    def test_one_that_was_stopped_and_lost_its_node_meanwhile_is_a_cause(self) -> None:
        verdict = judge([evicted(3), failed(1, 2)], 2, 24 * GIB, PATIENCE, NOON + 10, stopped={1})
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.learner) == ("S102", 1)

    def test_one_whose_node_does_not_end_it_was_lost_with_its_node(self) -> None:
        verdict = judged(failed(1, 0, "connection reset"), told_to_go(running(), asked=1), now=200)
        assert verdict.outcome is not None
        assert verdict.outcome.code == "S102"
        assert "node was lost" in verdict.outcome.message

    def test_one_that_is_just_being_deleted_is_waited_for(self) -> None:
        assert judged(running(), told_to_go(running(), asked=5)) == Verdict()

    def test_a_deadline_of_all_is_the_deadline_of_the_run(self) -> None:
        late = failed(143, 0) | {"status": {**failed(143)["status"], "reason": "DeadlineExceeded"}}
        verdict = judged(late, late)
        assert verdict.outcome is not None
        assert verdict.outcome.code == "C203"

    def test_any_failure_among_any_number_is_found(self) -> None:
        for count in (2, 3, 5):
            for number in range(count):
                pods: list[Json | None] = [running() for _ in range(count)]
                pods[number] = failed(3)
                verdict = judged(*pods)
                assert verdict.outcome is not None
                assert verdict.outcome.message.startswith(f"learner {number + 1} of {count}:")
                assert verdict.going == tuple(each + 1 for each in range(count) if each != number)


class TestSuccess:
    def test_a_run_is_completed_once_all_its_learners_are(self) -> None:
        verdict = judged(done(0), done(5), done(3))
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.outcome.message, verdict.outcome.exit_code) == (None, "", 0)

    @pytest.mark.parametrize("others", [(running(),), (done(1), running())])
    def test_others_may_go_on_for_a_while_after_the_first(self, others: tuple[Json, ...]) -> None:
        assert judged(done(0), *others, now=60) == Verdict()

    def test_whoever_goes_on_for_too_long_is_ended_and_named(self) -> None:
        verdict = judged(done(0), running(), done(3), running(), now=61)
        assert verdict.outcome is not None
        assert verdict.going == (2, 4)
        assert (verdict.outcome.code, verdict.outcome.state) == (None, "completed")
        assert verdict.outcome.message == "learners 2, 4 were stopped: the first one had ended"

    @pytest.mark.parametrize("other", [None, told_to_go(failed(143, 64), asked=61), told_to_go(running(), asked=61)])
    def test_those_that_were_stopped_after_the_first_do_not_fail_the_run(self, other: Json | None) -> None:
        verdict = judged(done(0), other, now=70)
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.outcome.message) == (
            None,
            "learner 2 was stopped: the first one had ended",
        )

    def test_one_that_fails_after_the_first_has_ended_fails_the_run(self) -> None:
        verdict = judged(done(0), failed(3, 20))
        assert verdict.outcome is not None
        assert verdict.outcome.exit_code == 3

    def test_others_that_end_before_the_first_are_not_waited_for_in_vain(self) -> None:
        assert judged(running(), done(0), done(1), now=10_000) == Verdict()


class TestServers:
    """Of three learners the first serves parameters, as FfDL's launcher for TensorFlow has it, and never ends."""

    SERVED = Patience(placement=60, first=60, lead=2)

    def judged(self, *pods: Json | None, now: float = 100) -> Verdict:
        return judge(pods, 2, 4 * GIB, self.SERVED, NOON + now)

    def test_a_server_is_ended_as_soon_as_all_others_have_ended(self) -> None:
        verdict = self.judged(running(), done(0), done(1), now=2)
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.outcome.exit_code, verdict.going) == (None, 0, (1,))
        assert verdict.outcome.message == ""

    def test_others_may_go_on_for_a_while_after_the_one_that_leads_them(self) -> None:
        assert self.judged(running(), done(0), running(), now=60) == Verdict()
        assert self.judged(running(), running(), done(0), now=10_000) == Verdict()
        verdict = self.judged(running(), done(0), running(), now=61)
        assert verdict.outcome is not None
        assert (verdict.going, verdict.outcome.message) == ((1, 3), "learner 3 was stopped: learner 2 had ended")

    def test_a_server_that_was_stopped_does_not_fail_the_run(self) -> None:
        verdict = self.judged(told_to_go(failed(143, 5), asked=2), done(0), done(1), now=10)
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.outcome.exit_code, verdict.outcome.message) == (None, 0, "")

    def test_a_server_that_fails_fails_the_run(self) -> None:
        verdict = self.judged(failed(3), running(), running())
        assert verdict.outcome is not None
        assert (verdict.outcome.code, verdict.going) == ("C201", (2, 3))


class TestPlaces:
    def test_learners_wait_for_ever_while_none_of_them_holds_a_node(self) -> None:
        assert judged(waiting(), waiting(), now=10_000) == Verdict()

    def test_those_with_a_node_wait_for_the_others_for_a_while(self) -> None:
        assert judged(running(scheduled=0), waiting(), now=60) == Verdict()

    def test_then_all_are_to_be_taken_back_and_it_is_told_what_is_missing(self) -> None:
        verdict = judged(running(scheduled=0), waiting(), running(scheduled=40), now=61)
        assert verdict.outcome is None
        assert verdict.missing == (
            "2 of 3 learners have a node, learner 2 has none: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu"
        )

    def test_a_failure_comes_before_a_place_that_is_missing(self) -> None:
        verdict = judged(failed(3), waiting(), now=1000)
        assert verdict.outcome is not None
        assert (verdict.missing, verdict.going) == ("", (2,))


class TestSums:
    def test_gpu_seconds_are_those_of_all_learners_from_node_to_end(self) -> None:
        verdict = judged(done(0), done(20), done(50))
        assert verdict.outcome is not None
        assert verdict.outcome.gpu_seconds == 2 * (100 + 120 + 150)
        assert (verdict.outcome.started_at, verdict.outcome.finished_at) == (NOON - 90, NOON + 50)

    def test_a_learner_that_is_gone_has_held_its_gpus_as_long_as_the_others(self) -> None:
        verdict = judged(failed(3, 0), None)
        assert verdict.outcome is not None
        assert verdict.outcome.gpu_seconds == 2 * (100 + 100)
