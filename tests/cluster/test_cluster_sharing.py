"""Runs beside each other on a cluster, and what is seen of them while they go."""

from __future__ import annotations

import pytest
from clusterrun import gpu_node

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

_LINES = 3000
# Many at once and then a while none, on both streams, the last one without its end.
_TALKS = f"""
i=0
while [ $i -lt {_LINES} ]; do
    echo "line $i" >&$((1 + i % 2))
    [ $((i % 300)) -ne 0 ] || sleep 0.1 2>/dev/null || sleep 1
    i=$((i + 1))
done
printf 'line %s' $i
"""


def test_a_run_waits_for_the_gpus_of_another_and_trains_when_that_one_has_ended(yard):
    node, gpus = gpu_node(yard.core)
    go = "while [ ! -e $CHECKPOINT_DIR/go ]; do sleep 1; done; "
    first = yard.submit(f"echo begun; {go}", gpus=gpus, node=node)
    assert first.work() == "deferred"
    first_waiting = first.await_end()
    first.until_logged("begun")
    second = yard.submit("true", gpus=gpus, node=node)
    assert second.work() == "deferred"
    second_waiting = second.await_end()
    second.until("Pending")
    assert second.waits().startswith(f"waiting for {gpus} GPU")

    yard.hands.make(f"{yard.checkpoints}/go")
    first.join(first_waiting)
    second.join(second_waiting)
    before, after = first.outcome, second.outcome
    assert (before.code, after.code) == (None, None)
    assert after.started_at >= before.finished_at
    assert after.gpu_seconds < gpus * (after.finished_at - before.started_at), "the wait is not billed"


def test_two_runs_at_once_each_have_their_own_pod_and_results(yard):
    meet = "echo $TRAINING_ID >$RESULT_DIR/me; touch $CHECKPOINT_DIR/$TRAINING_ID; {wait}"
    # Each waits for the other to be there: they really run at the same time.
    both = meet.format(wait="while [ $(ls $CHECKPOINT_DIR | wc -l) -lt 2 ]; do sleep 1; done")
    runs = [yard.submit(both) for _ in range(2)]
    assert [run.work() for run in runs] == ["deferred", "deferred"]
    for waiting in [(run, run.await_end()) for run in runs]:
        waiting[0].join(waiting[1])
    assert [run.outcome.code for run in runs] == [None, None]
    assert [run.read("result/me").strip() for run in runs] == [run.model_id for run in runs]
    assert len({run.pod().metadata.uid for run in runs}) == 2


def test_a_log_that_is_followed_has_every_line_once_and_the_workspace_has_the_same(yard):
    run = yard.submit(_TALKS)
    assert run.work() == "deferred"
    waiting = run.await_end()
    pod = run.until("Running", "Succeeded")
    followed = run.followed(pod)
    run.join(waiting)
    expected = [f"line {number}" for number in range(_LINES + 1)]
    assert _of_the_program(followed) == expected
    assert _of_the_program(run.printed(run.pod())) == expected
    assert _of_the_program(run.read("logs/learner-1/training-log.txt")) == expected


def _of_the_program(log):
    """Leave out what the wrapper warns of: the local cluster says that it ran no image."""
    return [line for line in log.splitlines() if not line.startswith("trainyard: warning: ")]
