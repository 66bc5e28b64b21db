"""Metrics of runs that are going: read when somebody looks, not too often, and by one thread."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from metricfiles import Program
from samples import MODEL_ID, RUN, training

from trainyard.core.livemetrics import LiveMetrics
from trainyard.core.runs import Run
from trainyard.domain.states import Phase
from trainyard.workspace.layout import Workspace

GOING = Run(MODEL_ID, MODEL_ID, "digits", "vision", "tensorflow 2.16", 1, Phase.TRAINING, 1.0, running_at=100.0)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture
def program(workspace):
    return Program(workspace.run(RUN).root)


def _live(workspace, training_of=lambda training_id: training(training_id), **options):
    return LiveMetrics(workspace, training_of, pause=lambda seconds: None, **options)


def _state(live, run, patience=20):
    """Return what is known of a run once its reading is done, or after so long."""
    if reading := live.ask(run):
        with suppress(TimeoutError):
            reading.result(patience)
    return live.state(run)


def test_a_look_at_a_run_that_goes_on_reads_it(workspace, program):
    program.log({"step": 10, "loss": 1.0, "total_steps": 40})
    live = _live(workspace, clock=lambda: 200.0)
    assert _state(live, GOING).summary() == {"loss": {"last": 1.0, "minimum": 1.0, "maximum": 1.0}}
    values, progress = live.newest(GOING)
    assert (values, progress["fraction"]) == ({"loss": 1.0}, 0.25)


def test_one_that_was_looked_at_just_now_is_not_read_again(workspace, program):
    program.log({"loss": 1.0})
    live = _live(workspace)
    _state(live, GOING)
    program.log({"loss": 2.0})
    assert _state(live, GOING).curves.seen == 1


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.STAGING, Phase.WAITING_FOR_GPU, Phase.DONE])
def test_one_that_does_not_train_is_never_read(workspace, program, phase):
    program.log({"loss": 1.0})
    live = _live(workspace)
    assert _state(live, replace(GOING, phase=phase)) is None
    assert live.newest(replace(GOING, phase=phase)) == ({}, None)


def test_a_reading_that_takes_long_keeps_nobody_waiting(workspace, program):
    held = threading.Event()
    live = _live(workspace, training_of=lambda _: held.wait(240))
    try:
        assert _state(live, GOING, 0.01) is None
        assert live.newest(GOING) == ({}, None)
    finally:
        held.set()


def test_one_reading_that_fails_leaves_the_others(workspace, program):
    program.log({"loss": 1.0})
    other = replace(GOING, model_id="training-other0001", training_id="training-other0001")
    workspace.run(other.key).root.mkdir(parents=True)

    def training_of(training_id):
        if training_id != MODEL_ID:
            raise RuntimeError("broken")
        return training(training_id)

    live = _live(workspace, training_of)
    assert _state(live, other) is None
    assert _state(live, GOING).curves.seen == 1


def test_an_id_that_the_service_did_not_make_has_none(workspace):
    assert _live(workspace).state(replace(GOING, model_id="../../etc")) is None


def test_a_run_that_was_started_again_is_read_on(workspace, program):
    program.log({"loss": 1.0})
    done = program.read(whole=True)
    assert done.curves.seen == 1
    program.log({"loss": 2.0})
    assert _state(_live(workspace), GOING).curves.seen == 2


class TestSummaries:
    _NAME = "logs/tb/train/events.out.tfevents.1"

    @pytest.fixture
    def root(self, workspace):
        root = workspace.run(RUN).root
        (root / "logs" / "tb" / "train").mkdir(parents=True)
        (root / self._NAME).write_bytes(b"0123456789")
        return root

    def test_those_of_a_run_that_is_going_are_read_from_a_byte_on(self, workspace, root):
        live = _live(workspace)
        assert live.summaries(GOING) == {self._NAME: 10}
        assert live.summary(GOING, self._NAME, 0, 4) == b"0123"
        assert live.summary(GOING, self._NAME, 7, 100) == b"789"
        assert live.summary(GOING, self._NAME, 10, 100) == b""

    def test_there_are_none_of_a_run_that_has_ended_and_of_nothing_else(self, workspace, root):
        live = _live(workspace)
        assert live.summaries(replace(GOING, phase=Phase.DONE)) == {}
        assert live.summary(replace(GOING, phase=Phase.DONE), self._NAME, 0, 9) is None
        (root / "logs" / "secret.txt").write_text("x")
        (root / "tfevents").write_text("x")
        for name in ("logs/secret.txt", "logs/nothing.tfevents", "tfevents", "logs/../tfevents", f"/{self._NAME}"):
            assert live.summary(GOING, name, 0, 9) is None

    def test_no_link_is_followed(self, workspace, root, tmp_path):
        outside = tmp_path / "tfevents"
        outside.write_text("secret")
        (root / "logs" / "tb" / "tfevents.link").symlink_to(outside)
        (root / "logs" / "linked").symlink_to(tmp_path)
        live = _live(workspace)
        assert list(live.summaries(GOING)) == [self._NAME]
        for name in ("logs/tb/tfevents.link", "logs/linked/tfevents"):
            assert live.summary(GOING, name, 0, 9) is None
