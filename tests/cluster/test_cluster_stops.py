"""Runs that somebody ends on a cluster: their owner, whoever deletes a pod, whoever empties a node."""

from __future__ import annotations

import pytest
from clusterrun import evict, take_away
from clusteryard import MAX_GPUS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

# Says that it began, keeps what it has when it is told to stop, and takes a second over it.
_SAVES = """
trap 'sleep 1; echo "epoch 7" >$RESULT_DIR/kept.txt; exit 0' TERM
echo begun
while :; do sleep 0.1 2>/dev/null || sleep 1; done
"""
_DEAF = "trap '' TERM; echo begun; while :; do sleep 1; done"
# The first attempt waits for its end; the one after it finds what the first one kept.
_GOES_ON = """
[ ! -e $CHECKPOINT_DIR/$TRAINING_ID ] || { echo "goes on" | tee $RESULT_DIR/kept.txt; exit 0; }
touch $CHECKPOINT_DIR/$TRAINING_ID
echo begun
exec sleep 600
"""


def test_a_run_that_is_canceled_while_it_waits_for_gpus_never_starts(yard):
    run = yard.submit("echo started >$RESULT_DIR/started", gpus=MAX_GPUS)
    assert run.work() == "deferred"
    waiting = run.await_end()
    assert run.until("Pending").spec.node_name is None
    run.cancel()
    run.join(waiting)
    run.until_gone()
    assert run.state == "failed"
    with pytest.raises(AssertionError, match="No such file"):
        run.read("result/started")


def test_a_program_of_a_run_that_is_canceled_is_told_and_what_it_saves_is_kept(yard):
    run = yard.submit(_SAVES)
    assert run.work() == "deferred"
    waiting = run.await_end()
    run.until_logged("begun")
    run.cancel()
    run.join(waiting)
    run.until_gone()
    assert run.state == "failed"
    assert run.read("result/kept.txt") == "epoch 7\n"


def test_a_program_that_does_not_stop_is_ended_when_its_grace_is_over(yard):
    run = yard.submit(_DEAF)
    assert run.work() == "deferred"
    waiting = run.await_end()
    pod = run.until_logged("begun")
    run.cancel()
    run.join(waiting)
    assert yard.core.read_namespaced_pod(pod.metadata.name, pod.metadata.namespace).metadata.deletion_timestamp
    run.until_gone()
    assert run.state == "failed"


@pytest.mark.parametrize("take", [take_away, evict])
def test_a_pod_that_somebody_takes_away_is_lost_and_another_try_goes_on_from_its_checkpoint(yard, take):
    run = yard.submit(_GOES_ON)
    assert run.work() == "deferred"
    waiting = run.await_end()
    first = run.until_logged("begun")
    take(yard.core, first.metadata)
    run.join(waiting)
    assert (run.outcome.code, run.state) == ("S102", "up_for_retry")
    assert ("is being emptied" in run.outcome.message) is (take is evict), run.outcome.message

    assert run.train().code is None
    assert (run.state, run.tries) == ("success", 2)
    assert run.read("result/kept.txt") == "goes on\n"
    assert run.until("Succeeded").metadata.uid != first.metadata.uid


def test_cleaning_up_removes_the_pods_of_a_run_whatever_they_do(yard):
    ended, running = yard.submit("true"), yard.submit(_DEAF)
    assert ended.train().code is None
    assert running.work() == "deferred"
    running.until_logged("begun")
    waiting = yard.submit("true", gpus=MAX_GPUS)
    assert waiting.work() == "deferred"
    waiting.until("Pending")
    assert len(yard.pods()) == 3
    yard.clean_up()
    assert yard.pods() == []
