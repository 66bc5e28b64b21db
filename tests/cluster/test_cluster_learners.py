"""Runs of several learners on a cluster: they find one another, end together, and survive what one pod survives."""

from __future__ import annotations

import shlex
import signal

import pytest
from clusterrun import change_image, evict, gpu_node, missing_image, take_away
from clusteryard import MAX_GPUS

from trainyard.domain.names import learner_name

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

# The first one answers at its own name once all have asked; they have a folder for words, and one for results.
_MEET = """
import os, socket, time
hosts, me = os.environ["LEARNER_HOSTS"].split(","), int(os.environ["LEARNER_ID"])
if me == 1:
    open("/job/word", "w").write("spoken")
    server = socket.create_server((hosts[0], 2222))
    for asking in [server.accept()[0] for _ in hosts[1:]]:
        asking.sendall(b"met")
for _ in range(600 * (me > 1)):
    try:
        assert socket.create_connection((hosts[0], 2222), 5).recv(10) == b"met"
        break
    except OSError:
        time.sleep(0.1)
open(os.environ["RESULT_DIR"] + "/met-%d" % me, "w").write(open("/job/word").read() + " to " + socket.gethostname())
"""
_STARTS = "echo begun | tee -a $RESULT_DIR/starts-$LEARNER_ID"
_WAITS = f"{_STARTS}; while [ ! -e $CHECKPOINT_DIR/go ]; do sleep 1; done"
# Keeps what it has when it is told to stop.
_SAVES = """
trap 'echo "epoch 7" >$RESULT_DIR/kept-$LEARNER_ID; exit 0' TERM
echo begun
while :; do sleep 0.1 2>/dev/null || sleep 1; done
"""
_SECOND_FAILS = f"""
[ $LEARNER_ID != 2 ] || {{
    while [ ! -e $CHECKPOINT_DIR/go ]; do sleep 1; done
    echo no such layer
    exit 3
}}
{_SAVES}
"""
_SECOND_IS_GREEDY = """
import os, time
held = [bytearray(b"x" * 1024 ** 2) for _ in range(1024 * (os.environ["LEARNER_ID"] == "2"))]
time.sleep(600)
"""
# The first attempt waits for its end; the one after it goes on from what was kept before.
_GOES_ON = f"""
{_STARTS}
[ ! -e $CHECKPOINT_DIR/$LEARNER_ID ] || exit 0
touch $CHECKPOINT_DIR/$LEARNER_ID
exec sleep 600
"""


def _waiting(yard, command, learners=2):
    """Submit a run and let it train; return it, and who waits for its end, once all programs have begun."""
    run = yard.submit(command, learners=learners)
    assert run.work() == "deferred"
    waiting = run.await_end()
    run.until_all_logged("begun")
    return run, waiting


def _assert_trained_once(run, learners=2):
    assert (run.outcome.code, run.state) == (None, "success")
    assert [run.read(f"result/starts-{number}") for number in range(1, learners + 1)] == ["begun\n"] * learners


def test_they_find_one_another_by_name_and_have_folders_in_common(yard):
    run = yard.submit(f"python3 -c {shlex.quote(_MEET)}", learners=3)
    outcome = run.train()
    assert (outcome.code, outcome.exit_code, run.state) == (None, 0, "success"), outcome.message
    hosts = [learner_name(run.key, 1, number) for number in (1, 2, 3)]
    assert [run.read(f"result/met-{number}") for number in (1, 2, 3)] == [f"spoken to {host}" for host in hosts]


def test_one_that_fails_ends_the_others_which_may_save_what_they_have(yard):
    run, waiting = _waiting(yard, _SECOND_FAILS.replace("[ $LEARNER", "echo begun; [ $LEARNER", 1), learners=3)
    yard.hands.make(f"{yard.checkpoints}/go")
    run.join(waiting)
    assert (run.outcome.code, run.outcome.exit_code, run.state, run.tries) == ("C201", 3, "failed", 1)
    assert run.outcome.message.startswith("learner 2 of 3: the training program ended with exit code 3: ")
    assert "no such layer" in run.outcome.message
    assert [run.read(f"result/kept-{number}") for number in (1, 3)] == ["epoch 7\n"] * 2


def test_one_that_needs_more_memory_than_its_limit_is_named(yard):
    run = yard.submit(f"python3 -c {shlex.quote(_SECOND_IS_GREEDY)}", learners=2)
    outcome = run.train()
    assert (outcome.code, run.state) == ("C202", "failed")
    assert outcome.message.startswith("learner 2 of 2: ")
    assert "256Mi" in outcome.message


def test_an_image_that_does_not_arrive_for_one_ends_all_and_is_tried_again(yard):
    """Its pod waits for a GPU with the others meanwhile: a cluster changes no image that it has pulled."""
    node, gpus = gpu_node(yard.core)
    if gpus < 2:
        pytest.skip("no node has GPUs for two learners")
    holding = yard.submit("echo begun; exec sleep 600", gpus=gpus, node=node)
    assert holding.work() == "deferred"
    held = holding.await_end()
    holding.until_logged("begun")
    run = yard.submit(_WAITS, learners=2, gpus=gpus // 2, node=node)
    assert run.work() == "deferred"
    waiting = run.await_end()
    change_image(yard.core, run.learner(2).metadata, missing_image(yard.target.image))
    holding.cancel()
    holding.join(held)
    run.join(waiting)
    assert (run.outcome.code, run.state, run.tries) == ("S103", "up_for_retry", 1)
    assert run.outcome.message.startswith("learner 2 of 2: ")
    assert ":missing" in run.outcome.message
    run.until_gone()
    assert holding.state == "failed"


@pytest.mark.parametrize("take", [take_away, evict])
def test_one_that_somebody_takes_away_has_all_of_them_go_on_from_their_checkpoint(yard, take):
    run, waiting = _waiting(yard, _GOES_ON)
    take(yard.core, run.learner(2).metadata)
    run.join(waiting)
    assert (run.outcome.code, run.state) == ("S102", "up_for_retry")
    assert run.outcome.message.startswith("learner 2 of 2: ")

    assert run.train().code is None
    assert (run.state, run.tries) == ("success", 2)
    assert [run.read(f"result/starts-{number}") for number in (1, 2)] == ["begun\nbegun\n"] * 2


def test_a_worker_that_dies_between_two_pods_leaves_the_rest_to_the_next_try(yard):
    run = yard.submit(_WAITS, learners=2)
    assert run.work_and_die() == -signal.SIGKILL
    (first,) = run.pods()
    run.lose()
    assert run.work() == "deferred"
    assert run.learner(1).metadata.uid == first.metadata.uid
    waiting = run.await_end()
    run.until_all_logged("begun")
    yard.hands.make(f"{yard.checkpoints}/go")
    run.join(waiting)
    _assert_trained_once(run)


def test_a_triggerer_and_a_worker_that_die_find_the_pods_that_have_ended_meanwhile(yard):
    run, dying = _waiting(yard, _WAITS)
    yard.airflow.kill(dying)
    another = run.await_end()
    assert run.state == "deferred"
    yard.airflow.kill(another)
    run.lose()
    yard.hands.make(f"{yard.checkpoints}/go")
    run.until_all("Succeeded")
    assert run.work() == "success"
    _assert_trained_once(run)


def test_all_programs_of_a_run_that_is_canceled_are_told_and_what_they_save_is_kept(yard):
    run, waiting = _waiting(yard, _SAVES)
    run.cancel()
    run.join(waiting)
    run.until_gone()
    assert run.state == "failed"
    assert [run.read(f"result/kept-{number}") for number in (1, 2)] == ["epoch 7\n"] * 2


def test_learners_that_wait_for_gpus_never_start_once_their_run_is_canceled(yard):
    run = yard.submit("echo started >$RESULT_DIR/started", learners=2, gpus=MAX_GPUS // 2)
    assert run.work() == "deferred"
    waiting = run.await_end()
    assert run.until("Pending").spec.node_name is None
    run.cancel()
    run.join(waiting)
    run.until_gone()
    assert run.state == "failed"


def test_cleaning_up_removes_all_pods_and_the_service_between_them(yard):
    run, waiting = _waiting(yard, _SAVES)
    yard.airflow.kill(waiting)
    assert (len(yard.pods()), len(yard.services())) == (2, 1)
    yard.clean_up()
    assert (yard.pods(), yard.services(), run.pods()) == ([], [], [])
