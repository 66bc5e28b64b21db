"""The pods of a run on the cluster: found, created once, stopped, removed, whatever the API does meanwhile."""

from __future__ import annotations

import pytest
from fake_cluster import EVICTED, RUNNING, FakeCluster, exited, pod, refusal
from late import Late
from samples import MODEL_ID
from urllib3.exceptions import MaxRetryError

from trainyard.domain.names import pod_name
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

trainingpods = Late("trainyard.airflow.trainingpods")
_FIRST, _SECOND = pod_name(MODEL_ID, 1), pod_name(MODEL_ID, 2)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr("trainyard.airflow.trainingpods._RETRY_PAUSE_SECONDS", 0)
    monkeypatch.setattr("trainyard.airflow.trainingpods._LOOK_SECONDS", 0)


def _pods(cluster, patience_seconds=60.0):
    return trainingpods.TrainingPods(cluster, "default", patience_seconds)


def _names(pods):
    return [one["metadata"]["name"] for one in pods]


class TestFinding:
    def test_a_runs_pods_come_oldest_attempt_first(self):
        attempts = [pod(EVICTED, attempt) for attempt in (10, 2, 1)]
        found = _pods(FakeCluster(*attempts)).of_run(MODEL_ID)
        assert [trainingpods.TrainingPods.attempt(one) for one in found] == [1, 2, 10]

    def test_pods_of_other_runs_are_not_found(self):
        cluster = FakeCluster(pod(RUNNING, model_id="training-dOl4q2LkR"))
        assert _pods(cluster).newest(MODEL_ID) is None

    def test_the_newest_pod_is_the_last_attempts(self):
        cluster = FakeCluster(pod(EVICTED, 1), pod(RUNNING, 2))
        assert _names([_pods(cluster).newest(MODEL_ID)]) == [_SECOND]


class TestCreating:
    def test_a_pod_is_created_once(self):
        cluster = FakeCluster()
        made = [_pods(cluster).create(pod({})) for _ in range(2)]
        assert _names(made) == [_FIRST, _FIRST]
        assert cluster.created == [_FIRST]

    def test_a_pod_that_an_unheard_answer_created_is_taken(self):
        cluster = FakeCluster(pod(RUNNING))
        assert _pods(cluster).create(pod({}))["status"] == RUNNING

    def test_a_conflict_with_no_pod_of_that_name_is_tried_again(self):
        cluster = FakeCluster()
        cluster.faults = [refusal(409, "Conflict"), refusal(404, "Not Found")]
        assert _names([_pods(cluster).create(pod({}))]) == [_FIRST]
        assert cluster.created == [_FIRST]

    def test_a_conflict_that_stays_is_told_in_a_sentence(self):
        cluster = FakeCluster()
        cluster.faults = [refusal(409, "Conflict"), refusal(404, "Not Found")]
        with pytest.raises(TrainyardError, match="409 Conflict") as refused:
            _pods(cluster, patience_seconds=-1).create(pod({}))
        assert refused.value.code.code == "S101"

    def test_a_refusal_is_told_in_a_sentence(self):
        cluster = FakeCluster()
        cluster.faults = [refusal(403, "Forbidden")]
        with pytest.raises(TrainyardError, match="refused the training pod: 403 Forbidden") as error:
            _pods(cluster).create(pod({}))
        assert error.value.code.code == "S101"

    def test_a_quota_of_the_clusters_that_is_full_is_waited_for(self):
        cluster = FakeCluster()
        full = refusal(403, "Forbidden")
        full.body = 'pods "x" is forbidden: exceeded quota: gpus-vision'
        cluster.faults = [full, full]
        assert _pods(cluster).create(pod({}))["metadata"]["name"] == _FIRST
        cluster.faults = [full]
        with pytest.raises(TrainyardError, match="refused the training pod"):
            _pods(cluster, patience_seconds=-1).create(pod({}, 2))


class TestStopping:
    @pytest.mark.parametrize("verb", ["stop", "remove_all"])
    def test_a_cluster_that_does_not_allow_it_is_told_in_a_sentence(self, verb):
        cluster = FakeCluster()
        cluster.faults = [refusal(403, "Forbidden")]
        arguments = (_FIRST, 30) if verb == "stop" else (MODEL_ID,)
        with pytest.raises(TrainyardError, match=r"the cluster refused .*: 403 Forbidden") as error:
            getattr(_pods(cluster), verb)(*arguments)
        assert error.value.code.code == "S200"

    def test_a_pod_gets_its_grace(self):
        cluster = FakeCluster(pod(RUNNING))
        _pods(cluster).stop(_FIRST, 30)
        assert cluster.deleted == [(_FIRST, 30)]

    def test_a_pod_that_is_gone_is_fine(self):
        _pods(FakeCluster()).stop(_FIRST, 30)

    def test_all_that_run_are_ended_and_what_has_ended_is_left(self):
        cluster = FakeCluster(pod(exited(0), 1), pod(RUNNING, 2))
        _pods(cluster).end_all(MODEL_ID, 5)
        assert cluster.deleted == [(_SECOND, 5)]
        assert list(cluster.pods) == [_FIRST]

    def test_a_pod_that_does_not_end_is_told_by_its_name(self):
        cluster = FakeCluster(pod(RUNNING))
        cluster.immortal = True
        with pytest.raises(TrainyardError, match=_FIRST) as error:
            _pods(cluster, patience_seconds=0).end_all(MODEL_ID, 0)
        assert error.value.code.code == "S200"

    def test_removing_takes_every_pod_of_the_run_and_nothing_else(self):
        other = pod(RUNNING, model_id="training-dOl4q2LkR")
        cluster = FakeCluster(pod(exited(3), 1), pod(RUNNING, 2), other)
        assert _pods(cluster).remove_all(MODEL_ID) == 2
        assert list(cluster.pods.values()) == [other]
        assert _pods(cluster).remove_all(MODEL_ID) == 0

    def test_removing_returns_when_the_cluster_has_none_of_the_pods_any_more(self):
        cluster = FakeCluster(pod(exited(3), 1), pod(RUNNING, 2))
        cluster.lingers = 3
        assert _pods(cluster).remove_all(MODEL_ID) == 2
        assert cluster.pods == {}
        assert cluster.deleted == [(_FIRST, 0), (_SECOND, 0)]

    def test_a_pod_that_stays_although_it_was_removed_is_told_by_its_name(self):
        cluster = FakeCluster(pod(exited(0)))
        cluster.immortal = True
        with pytest.raises(TrainyardError, match=f"still there after they were removed: {_FIRST}") as error:
            _pods(cluster, patience_seconds=0).remove_all(MODEL_ID)
        assert error.value.code.code == "S200"
        assert error.value.code.retried


_OUTAGES = {
    "unavailable": lambda: refusal(503, "Service Unavailable"),
    "broken": lambda: refusal(500, "Internal"),
    "busy": lambda: refusal(429, "Too Many Requests"),
    "conflict": lambda: refusal(409, "Conflict"),
    "tls": lambda: refusal(0, "SSLError"),
    "unreachable": lambda: MaxRetryError(None, "/api/v1/pods"),
    "reset": ConnectionResetError,
    "timeout": TimeoutError,
}


class TestOutages:
    @pytest.mark.parametrize("fault", _OUTAGES.values(), ids=_OUTAGES.keys())
    def test_a_call_is_tried_again_until_the_api_answers(self, fault):
        cluster = FakeCluster(pod(RUNNING))
        cluster.faults = [fault(), fault()]
        assert _names(_pods(cluster).of_run(MODEL_ID)) == [_FIRST]

    @pytest.mark.parametrize("fault", _OUTAGES.values(), ids=_OUTAGES.keys())
    def test_an_api_that_never_answers_is_told_after_a_while(self, fault):
        cluster = FakeCluster()
        cluster.faults = [fault()] * 1000
        with pytest.raises(TrainyardError, match="the Kubernetes API does not answer") as error:
            _pods(cluster, patience_seconds=0).of_run(MODEL_ID)
        assert error.value.code.code == "S200"
        assert error.value.code.retried

    def test_a_refusal_is_no_outage(self):
        cluster = FakeCluster()
        cluster.faults = [refusal(401, "Unauthorized")]
        with pytest.raises(Exception, match="401"):
            _pods(cluster).of_run(MODEL_ID)
        assert cluster.faults == []
