"""The pods of a run on the cluster: found, created once, stopped, removed, whatever the API does meanwhile."""

from __future__ import annotations

import pytest
from fake_cluster import EVICTED, RUNNING, FakeCluster, exited, pod, refusal
from late import Late
from samples import LIMITS, RUN, training
from urllib3.exceptions import MaxRetryError

from trainyard.cluster.labels import ACCOUNT
from trainyard.domain.names import RunKey, learner_name, pod_name
from trainyard.domain.training import Resources
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

podclient = Late("trainyard.cluster.podclient")
_FIRST, _SECOND = pod_name(RUN, 1), pod_name(RUN, 2)
_AGAIN = "training-again0000"
# Another run of the training, and a run of another training that has the id of this one.
_LATER, _THEIRS = RunKey(RUN.training_id, _AGAIN), RunKey("training-Xz81mQ0aB", RUN.model_id)


def _pods(cluster, patience_seconds=60.0):
    return podclient.TrainingPods(cluster, "default", patience_seconds, retry_seconds=0, look_seconds=0)


def _names(pods):
    return [one["metadata"]["name"] for one in pods]


class TestFinding:
    def test_a_runs_pods_come_oldest_attempt_first(self):
        attempts = [pod(EVICTED, attempt) for attempt in (10, 2, 1)]
        found = _pods(FakeCluster(*attempts)).of_run(RUN)
        assert [podclient.TrainingPods.attempt(one) for one in found] == [1, 2, 10]

    @pytest.mark.parametrize("run", [RunKey.first_of("training-dOl4q2LkR"), _LATER, _THEIRS], ids=str)
    def test_pods_of_other_runs_are_not_found(self, run):
        cluster = FakeCluster(pod(RUNNING, run=run))
        assert _pods(cluster).newest(RUN) is None
        assert _names(_pods(cluster).of_run(run)) == [pod_name(run, 1)]

    def test_the_newest_attempt_has_the_pods_of_its_learners_in_their_order(self):
        pods = [pod(RUNNING, 2, learner=number) for number in (11, 2, 1)]
        found = _pods(FakeCluster(*pods, pod(EVICTED, 1, learner=1))).newest_attempt(RUN)
        assert _names(found) == [learner_name(RUN, 2, number) for number in (1, 2, 11)]

    def test_the_newest_pod_is_the_last_attempts(self):
        cluster = FakeCluster(pod(EVICTED, 1), pod(RUNNING, 2))
        assert _names([_pods(cluster).newest(RUN)]) == [_SECOND]


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
        arguments = (_FIRST, 30) if verb == "stop" else (RUN,)
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
        _pods(cluster).end_all(RUN, 5)
        assert cluster.deleted == [(_SECOND, 5)]
        assert list(cluster.pods) == [_FIRST]

    def test_a_pod_that_does_not_end_is_told_by_its_name(self):
        cluster = FakeCluster(pod(RUNNING))
        cluster.immortal = True
        with pytest.raises(TrainyardError, match=_FIRST) as error:
            _pods(cluster, patience_seconds=0).end_all(RUN, 0)
        assert error.value.code.code == "S200"

    def test_removing_takes_every_pod_of_the_run_and_nothing_else(self):
        others = [pod(RUNNING, run=run) for run in (RunKey.first_of("training-dOl4q2LkR"), _LATER, _THEIRS)]
        cluster = FakeCluster(pod(exited(3), 1), pod(RUNNING, 2), *others)
        assert _pods(cluster).remove_all(RUN) == 2
        assert list(cluster.pods.values()) == others
        assert _pods(cluster).remove_all(RUN) == 0

    def test_removing_returns_when_the_cluster_has_none_of_the_pods_any_more(self):
        cluster = FakeCluster(pod(exited(3), 1), pod(RUNNING, 2))
        cluster.lingers = 3
        assert _pods(cluster).remove_all(RUN) == 2
        assert cluster.pods == {}
        assert cluster.deleted == [(_FIRST, 0), (_SECOND, 0)]

    def test_a_pod_that_stays_although_it_was_removed_is_told_by_its_name(self):
        cluster = FakeCluster(pod(exited(0)))
        cluster.immortal = True
        with pytest.raises(TrainyardError, match=f"still there after they were removed: {_FIRST}") as error:
            _pods(cluster, patience_seconds=0).remove_all(RUN)
        assert error.value.code.code == "S200"
        assert error.value.code.retried


class TestRoom:
    """Account vision has a quota of four GPUs; the run wants as many, unless a test says otherwise."""

    def _awaits(self, cluster, patience_seconds=-1, size="large"):
        plan = training(resources=Resources(size=size)).plan
        _pods(cluster, patience_seconds).await_room(RUN, plan, LIMITS.accounts["vision"].gpus, 0)

    def _refused(self, cluster):
        with pytest.raises(TrainyardError, match="outlived their runs hold GPUs of account vision") as error:
            self._awaits(cluster)
        assert (error.value.code.code, error.value.code.retried) == ("S100", True)
        return error.value.message

    @pytest.mark.parametrize("run", [_LATER, _THEIRS], ids=str)
    @pytest.mark.parametrize("status", [RUNNING, {"phase": "Pending"}], ids=["running", "pending"])
    def test_a_pod_of_another_run_that_still_lives_is_told_by_its_name(self, run, status):
        assert pod_name(run, 1) in self._refused(FakeCluster(pod(status, run=run, gpus=1)))

    def test_one_that_is_being_removed_is_waited_for_until_it_is_gone(self):
        cluster = FakeCluster(pod(RUNNING, run=_LATER, gpus=4))
        cluster.delete_namespaced_pod(pod_name(_LATER, 1), "default", 30)
        cluster.pods[pod_name(_LATER, 1)] = pod(RUNNING, run=_LATER, gpus=4)
        cluster.lingers = 3
        self._awaits(cluster, patience_seconds=60)
        assert cluster.pods == {}

    def test_what_others_of_the_account_leave_is_enough_for_a_run_that_wants_no_more(self):
        cluster = FakeCluster(pod(RUNNING, run=_LATER, gpus=3))
        self._awaits(cluster, size="small")
        cluster.pods[pod_name(_THEIRS, 1)] = pod(RUNNING, run=_THEIRS, gpus=1)
        with pytest.raises(TrainyardError):
            self._awaits(cluster, size="small")

    @pytest.mark.parametrize(
        "there",
        [
            pod(exited(0), run=_LATER, gpus=4),
            pod(exited(3), run=_LATER, gpus=4),
            pod(EVICTED, run=_LATER, gpus=4),
            pod(RUNNING, run=_LATER, gpus=4, account="speech"),
            pod(RUNNING, run=_LATER, gpus=0),
            pod(RUNNING, gpus=4),
            pod(RUNNING, attempt=2, gpus=4),
        ],
        ids=["succeeded", "failed", "evicted", "another-account", "without-gpus", "its-own", "its-own-second"],
    )
    def test_a_pod_that_takes_no_gpu_of_the_account_from_the_run_is_not_waited_for(self, there):
        self._awaits(FakeCluster(there))

    def test_an_account_whose_label_is_the_same_but_not_its_name_takes_no_room(self):
        other = pod(RUNNING, run=_LATER, gpus=4, account="vision/")
        assert other["metadata"]["labels"][ACCOUNT] == "vision"
        self._awaits(FakeCluster(other))

    def test_a_run_without_a_gpu_asks_nothing_and_waits_for_nobody(self):
        cluster = FakeCluster(pod(RUNNING, run=_LATER, gpus=4))
        cluster.faults = [refusal(403, "Forbidden")]
        self._awaits(cluster, size="tiny")
        assert len(cluster.faults) == 1

    def test_a_run_that_wants_more_than_a_quota_that_was_lowered_goes_on_when_nobody_else_is_there(self):
        _pods(FakeCluster()).await_room(RUN, training(resources=Resources(size="large")).plan, 1, 0)


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
        assert _names(_pods(cluster).of_run(RUN)) == [_FIRST]

    @pytest.mark.parametrize("fault", _OUTAGES.values(), ids=_OUTAGES.keys())
    def test_an_api_that_never_answers_is_told_after_a_while(self, fault):
        cluster = FakeCluster()
        cluster.faults = [fault()] * 1000
        with pytest.raises(TrainyardError, match="the Kubernetes API does not answer") as error:
            _pods(cluster, patience_seconds=0).of_run(RUN)
        assert error.value.code.code == "S200"
        assert error.value.code.retried

    def test_a_refusal_is_no_outage(self):
        cluster = FakeCluster()
        cluster.faults = [refusal(401, "Unauthorized")]
        with pytest.raises(Exception, match="401"):
            _pods(cluster).of_run(RUN)
        assert cluster.faults == []
