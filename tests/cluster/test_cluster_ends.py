"""The ways a program ends, on a cluster: by itself, at its memory limit, or before it begins."""

from __future__ import annotations

import shlex

import pytest
from clusterrun import missing_image
from clusteryard import DATA

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

_GREEDY = """
held = []
for _ in range(64):
    held.append(bytearray(b"x" * 16 * 1024 ** 2))
import time
time.sleep(600)
"""


def test_a_program_that_succeeds_leaves_its_results_and_its_run_succeeds(yard):
    run = yard.submit(f"[ -d $DATA_DIR/{DATA} ] && echo trained >$RESULT_DIR/model.txt; sleep 1")
    outcome = run.train()
    assert (outcome.code, outcome.exit_code, run.state, run.tries) == (None, 0, "success", 1)
    assert outcome.started_at is not None
    assert outcome.finished_at >= outcome.started_at + 1
    assert run.read("result/model.txt") == "trained\n"


def test_a_program_that_fails_is_told_with_its_exit_code_and_last_words_and_not_tried_again(yard):
    run = yard.submit("echo no such layer; exit 3")
    outcome = run.train()
    assert (outcome.code, outcome.exit_code, run.state, run.tries) == ("C201", 3, "failed", 1)
    assert "no such layer" in outcome.message


def test_a_program_that_needs_more_memory_than_its_limit_is_told_so(yard):
    run = yard.submit(f"python3 -c {shlex.quote(_GREEDY)}")
    outcome = run.train()
    assert (outcome.code, run.state) == ("C202", "failed")
    assert "256Mi" in outcome.message


def test_a_frameworks_image_that_is_missing_is_the_services_fault_and_tried_again(yard):
    run = yard.submit("true", image=missing_image(yard.target.image))
    outcome = run.train()
    assert (outcome.code, outcome.retried, run.state) == ("S103", True, "up_for_retry")
    run.until_gone()


def test_an_image_of_the_submitters_own_that_is_missing_is_their_fault(yard):
    run = yard.submit("true", custom=missing_image(yard.target.image))
    outcome = run.train()
    assert (outcome.code, run.state, run.tries) == ("C104", "failed", 1)
    assert ":missing" in outcome.message
    run.until_gone()
