"""Deaths of Airflow's processes while a program trains on a cluster: it trains on, and is found again."""

from __future__ import annotations

import signal

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

_GO = "go"
# Trains until it is let go; counts how often it was started.
_WAITS = f"echo begun | tee -a $RESULT_DIR/starts; while [ ! -e $CHECKPOINT_DIR/{_GO} ]; do sleep 1; done"


def _let_go(yard):
    yard.hands.make(f"{yard.checkpoints}/{_GO}")


def _assert_trained_once(run, uid):
    assert (run.outcome.code, run.state) == (None, "success")
    assert run.pod().metadata.uid == uid
    assert run.read("result/starts") == "begun\n"


def test_a_worker_that_dies_right_after_it_made_the_pod_leaves_it_to_the_next_try(yard):
    run = yard.submit(_WAITS)
    assert run.work_and_die() == -signal.SIGKILL
    pod = run.until_logged("begun")
    assert run.state == "running"
    run.lose()
    assert run.state == "up_for_retry"

    assert run.work() == "deferred"
    assert (run.tries, run.pod().metadata.uid) == (2, pod.metadata.uid)
    waiting = run.await_end()
    _let_go(yard)
    run.join(waiting)
    _assert_trained_once(run, pod.metadata.uid)


def test_a_triggerer_that_dies_while_it_waits_is_followed_by_another_for_the_same_pod(yard):
    run = yard.submit(_WAITS)
    assert run.work() == "deferred"
    dying = run.await_end()
    pod = run.until_logged("begun")
    yard.airflow.kill(dying)
    assert run.state == "deferred"

    waiting = run.await_end()
    _let_go(yard)
    run.join(waiting)
    _assert_trained_once(run, pod.metadata.uid)


def test_a_step_that_is_lost_while_it_is_deferred_finds_its_pod_even_if_that_has_ended_meanwhile(yard):
    run = yard.submit(_WAITS)
    assert run.work() == "deferred"
    dying = run.await_end()
    pod = run.until_logged("begun")
    yard.airflow.kill(dying)
    run.lose()
    _let_go(yard)
    run.until("Succeeded")

    assert run.work() == "success"
    assert run.tries == 2
    _assert_trained_once(run, pod.metadata.uid)
