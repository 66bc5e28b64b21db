"""The trigger that waits for a training pod to end and ends the train step with it."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re

import pytest
from fake_cluster import EVICTED, PULLING, RUNNING, exited, pod
from late import Late
from podtrigger import ARGUMENTS, FakeApi, api_refusal, event_of, pod_trigger, waiting_trigger
from samples import RUN, training

from trainyard.cluster.diagnosis import diagnose
from trainyard.cluster.labels import FRAMEWORK
from trainyard.core.catalogue import Catalogue
from trainyard.domain.notification import Recipient
from trainyard.domain.outcome import Outcome
from trainyard.domain.watchdogs import Then, Watch
from trainyard.notify.outbox import Outbox
from trainyard.workspace.layout import Workspace
from trainyard.workspace.stopping import mark_stopped

pytestmark = pytest.mark.xdist_group("airflow")

trigger = Late("trainyard.airflow.trigger")
_DENIED = {"reason": "ErrImagePull", "message": "pull access denied"}


def _outcome_of(waiting):
    """Return the outcome that the trigger's event carries, after its kind was checked."""
    event = event_of(waiting)
    outcome = Outcome.from_dict(json.loads(json.dumps(event.xcoms["outcome"])))
    assert event.task_instance_state == ("failed" if outcome.code else "success")
    return outcome


class TestKeeping:
    def test_a_trigger_is_made_again_from_what_airflow_keeps_of_it(self):
        path, arguments = pod_trigger().serialize()
        module, _, name = path.rpartition(".")
        again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
        assert type(again) is trigger.TrainingPodTrigger
        assert again.serialize() == (path, arguments)
        assert arguments == ARGUMENTS


class TestLooking:
    @pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, RUNNING, PULLING])
    def test_a_pod_that_is_on_its_way_is_waited_for(self, status):
        assert pod_trigger().pods.is_over(pod(status)) is False

    def test_an_image_that_arrives_after_all_starts_its_time_anew(self):
        waiting = pod_trigger(image_seconds=0)
        assert waiting.pods.is_over(pod(PULLING)) is False
        assert waiting.pods.is_over(pod(RUNNING)) is False
        assert waiting.pods.is_over(pod(PULLING)) is False


class TestEnds:
    @pytest.mark.parametrize("status", [exited(0), exited(3), EVICTED])
    def test_a_pod_that_has_ended_is_told_with_its_outcome_and_left_for_the_cleanup(self, status):
        api = FakeApi(pod({"phase": "Pending"}), pod(RUNNING), pod(RUNNING), pod(status))
        assert _outcome_of(waiting_trigger(api)) == diagnose(pod(status), 2, 1024**3)
        assert api.deleted == []

    def test_the_gpus_and_the_memory_of_the_pod_are_in_its_outcome(self):
        killed = exited(137)
        killed["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
        outcome = _outcome_of(waiting_trigger(FakeApi(pod(killed)), gpus=3, memory=300 * 1024**2))
        assert (outcome.code, outcome.gpu_seconds) == ("C202", 30.0)
        assert "300Mi" in outcome.message

    def test_how_long_a_run_was_allowed_is_told(self):
        outcome = _outcome_of(waiting_trigger(FakeApi(pod({**exited(143), "reason": "DeadlineExceeded"}))))
        assert "1 hour" in outcome.message

    def test_an_image_that_does_not_arrive_in_its_time_makes_room_for_the_next_attempts_pod(self):
        api = FakeApi(pod(PULLING))
        assert _outcome_of(waiting_trigger(api, image_seconds=0)).code == "S103"
        assert api.deleted == [("training-dol4q2lkr-1", "default", 0)]

    def test_an_image_of_the_submitters_own_that_is_refused_is_their_fault(self):
        status = {"containerStatuses": [{"name": "learner", "state": {"waiting": _DENIED}}], "phase": "Pending"}
        whole = pod(status)
        whole["metadata"]["labels"][FRAMEWORK] = "custom"
        api = FakeApi(whole)
        assert _outcome_of(waiting_trigger(api, image_seconds=9)).code == "C104"
        assert api.deleted == [("training-dol4q2lkr-1", "default", 0)], "it holds its GPUs until it is deleted"

    def test_a_pod_whose_node_no_longer_answers_is_lost(self):
        whole = pod(RUNNING)
        whole["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
        assert _outcome_of(waiting_trigger(FakeApi(whole))).code == "S102"

    def test_a_pod_that_is_gone_is_told(self):
        api = FakeApi(pod(RUNNING), api_refusal(404))
        assert _outcome_of(waiting_trigger(api)).code == "S102"


class TestStoppedEarly:
    @pytest.fixture
    def stopped(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path))
        folder = Workspace(tmp_path).run(RUN)
        folder.root.mkdir(parents=True)
        mark_stopped(folder, "stopped early at step 12")
        return {"run": str(RUN)}

    @pytest.mark.parametrize("status", [exited(143), exited(1), EVICTED])
    def test_a_run_that_the_service_ended_early_is_completed_and_says_so(self, stopped, status):
        outcome = _outcome_of(waiting_trigger(FakeApi(pod(status)), **stopped))
        assert (outcome.code, outcome.message, outcome.hint) == (None, "stopped early at step 12", "")
        assert outcome.gpu_seconds == diagnose(pod(status), 2, 1024**3).gpu_seconds

    def test_of_a_cluster_that_says_nothing_nobody_knows_whether_it_has_ended(self, stopped):
        waiting = waiting_trigger(FakeApi(api_refusal(503)), **stopped, outage_seconds=0.01)
        assert _outcome_of(waiting).code == "S200"


class _UntilDeleted(FakeApi):
    """A pod that runs until it is deleted, and is then gone."""

    async def read_namespaced_pod(self, name, namespace):
        if self.deleted:
            raise api_refusal(404)
        return pod(RUNNING)


class _UntilWarned(FakeApi):
    """A pod that runs until a warning waits to be sent, and ends then."""

    def __init__(self, outbox):
        super().__init__(pod(RUNNING))
        self._outbox = outbox

    async def read_namespaced_pod(self, name, namespace):
        warned = any(each.message.event == "warning" for each in self._outbox.waiting())
        return pod(exited(0) if warned else RUNNING)


class TestWatched:
    @pytest.fixture
    def watched(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path / "workspace"))
        monkeypatch.setenv("TRAINYARD_CATALOGUE", str(tmp_path / "catalogue"))

        def watching(watch, age):
            Catalogue(tmp_path / "catalogue").add(training(watch=watch, notify=(Recipient(shown="x"),)))
            folder = Workspace(tmp_path / "workspace").run(RUN)
            folder.state.mkdir(parents=True)
            folder.started.touch()
            began = folder.started.stat().st_mtime - age
            os.utime(folder.started, (began, began))
            return Outbox(tmp_path / "catalogue" / "outbox")

        return watching

    def test_a_run_that_a_watchdog_stops_ends_with_a_code_of_its_own(self, watched):
        watched(Watch(longer=Then.STOP, longer_seconds=60), age=100)
        api = _UntilDeleted()
        outcome = _outcome_of(waiting_trigger(api, run=str(RUN)))
        assert outcome.code == "C205"
        assert re.match(r"stopped by a watchdog: the program runs for \d+ seconds, longer than", outcome.message)
        assert len(api.deleted) == 1

    def test_a_triggerer_that_died_before_it_had_stopped_the_run_stops_it_in_its_next_life(self, watched):
        watched(Watch(longer=Then.STOP, longer_seconds=60), age=100)
        for _ in range(2):
            api = _UntilDeleted()
            assert _outcome_of(waiting_trigger(api, run=str(RUN))).code == "C205"
            assert len(api.deleted) == 1

    def test_a_watchdog_that_warns_tells_of_it_and_leaves_the_run_alone(self, watched):
        outbox = watched(Watch(longer=Then.WARN, longer_seconds=60), age=100)
        api = _UntilWarned(outbox)
        assert _outcome_of(waiting_trigger(api, run=str(RUN))).code is None
        told = {each.message.event: each.message.reason for each in outbox.waiting()}
        assert re.match(r"the program runs for \d+ seconds, longer than the expected 60", told["warning"])
        assert api.deleted == []

    def test_a_run_that_has_ended_by_itself_is_not_waited_for(self, watched):
        watched(Watch(longer=Then.STOP, longer_seconds=6000), age=100)
        assert _outcome_of(waiting_trigger(FakeApi(pod(exited(0))), run=str(RUN))).code is None


class TestOutages:
    @pytest.mark.parametrize("fault", [lambda: api_refusal(503), ConnectionResetError, TimeoutError])
    def test_an_outage_is_no_news_of_the_pod(self, fault):
        api = FakeApi(pod(RUNNING), fault(), fault(), pod(exited(0)))
        assert _outcome_of(waiting_trigger(api)).code is None

    def test_only_a_long_silence_ends_the_wait(self):
        outcome = _outcome_of(waiting_trigger(FakeApi(ConnectionResetError()), outage_seconds=0.05))
        assert (outcome.code, outcome.retried) == ("S200", True)

    def test_a_task_that_is_marked_failed_takes_its_pod_along(self):
        api = FakeApi(pod(RUNNING))
        asyncio.run(waiting_trigger(api).on_kill())
        assert api.deleted == [("training-dol4q2lkr-1", "default", 7)]
