"""What Airflow's log of a train step has: the program's output, live and afterwards, its end, and links."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from fake_cluster import RUNNING, exited, pod
from late import Late
from podtrigger import FakeApi, event_of, pod_trigger, waiting_trigger
from samples import RUN

from trainyard.workspace.layout import Workspace

pytestmark = pytest.mark.xdist_group("airflow")

triggers = Late("trainyard.airflow.trigger")
_PLACES = {"run": str(RUN), "page": "http://there/trainyard/runs/x", "results": "s3://results/x/"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The run's folder in the workspace."""
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path))
    made = Workspace(tmp_path).run(RUN)
    made.training_log.parent.mkdir(parents=True)
    return made


@pytest.fixture
def log(monkeypatch):
    """What the trigger has logged, as pairs of level and text."""
    from structlog import wrap_logger
    from structlog.stdlib import PositionalArgumentsFormatter
    from structlog.testing import LogCapture

    captured = LogCapture()
    logger = wrap_logger(None, processors=[PositionalArgumentsFormatter(), captured])
    monkeypatch.setattr(triggers.TrainingPodTrigger, "log", logger)
    return lambda: [(entry["log_level"].upper(), entry["event"]) for entry in captured.entries]


def test_the_output_comes_before_the_end_and_the_links_after_it(folder, log):
    folder.training_log.write_text("epoch 1\nepoch 2\n")
    event_of(waiting_trigger(FakeApi(pod(RUNNING), pod(exited(0))), **_PLACES))
    assert log() == [
        ("INFO", "│ epoch 1"),
        ("INFO", "│ epoch 2"),
        ("INFO", "The program ended with exit code 0 after 20 GPU seconds."),
        ("INFO", "Run: http://there/trainyard/runs/x"),
        ("INFO", "Results: s3://results/x/"),
    ]


def test_a_failure_is_one_block_with_code_fault_message_hint_and_last_words(folder, log):
    folder.training_log.write_text("loading\n\x1b[31mno such file: labels.csv\x1b[0m\n")
    event_of(waiting_trigger(FakeApi(pod(exited(3))), **_PLACES))
    (block,) = [text for level, text in log() if level == "ERROR"]
    first, hint, *words = block.splitlines()
    assert first == "C201, a fault of the submission: the training program ended with exit code 3."
    assert hint.startswith("Hint: See what it wrote with `trainyard logs")
    assert words == ["The last words of the program:", "    loading", "    no such file: labels.csv"]


def test_new_lines_are_shown_while_the_program_runs(folder, log, monkeypatch):
    monkeypatch.setattr("trainyard.airflow.programlog.POLL_SECONDS", 0.01)
    seen = []

    async def shown(text):
        while not any(text in line for _, line in log()):
            await asyncio.sleep(0.005)
        seen.append(text)

    waiting = pod_trigger(**_PLACES)
    api = FakeApi(pod(RUNNING), pod(RUNNING), pod(RUNNING), pod(exited(0)))

    @asynccontextmanager
    async def opened():
        yield api

    async def watch(_):
        with folder.training_log.open("a") as file:
            file.write(f"step {len(seen)}\n")
        await shown(f"step {len(seen)}")

    waiting.pods.api, waiting.pods.until_changed = opened, watch
    event_of(waiting)
    assert seen == ["step 0", "step 1", "step 2"]
    assert [text for _, text in log()].count("│ step 1") == 1


def test_the_next_attempt_does_not_repeat_what_the_last_one_has_shown(folder, log):
    folder.training_log.write_text("first\n")
    event_of(waiting_trigger(FakeApi(pod(exited(0))), **_PLACES))
    with folder.training_log.open("a") as file:
        file.write("second\n")
    event_of(waiting_trigger(FakeApi(pod(exited(0))), **_PLACES))
    assert [text for _, text in log() if text.startswith("│")] == ["│ first", "│ second"]


@pytest.mark.parametrize("run", ["", "../../etc", "training-DOl4q2LkR"])
def test_a_trigger_that_knows_no_run_ends_it_all_the_same(folder, log, run):
    folder.training_log.write_text("first\n")
    event_of(waiting_trigger(FakeApi(pod(exited(0))), run=run))
    assert [text for _, text in log()] == ["The program ended with exit code 0 after 20 GPU seconds."]


def test_a_log_that_cannot_be_read_does_not_keep_a_run_from_its_end(folder, log, monkeypatch):
    def hindered(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("trainyard.airflow.programlog.open_inside", hindered)
    event_of(waiting_trigger(FakeApi(pod(exited(0))), **_PLACES))
    assert ("WARNING", "The program's log cannot be shown here: Permission denied") in log()


def test_a_fault_of_ours_does_not_keep_a_run_from_its_end(folder, log, monkeypatch):
    def faulty(*_):
        raise ValueError("nobody has thought of it")

    folder.training_log.write_text("first\n")
    monkeypatch.setattr("trainyard.airflow.programlog.split_lines", faulty)
    event_of(waiting_trigger(FakeApi(pod(exited(0))), **_PLACES))
    assert any("nobody has thought of it" in text for level, text in log() if level == "WARNING")
    assert ("INFO", "The program ended with exit code 0 after 20 GPU seconds.") in log()


def test_a_run_that_is_canceled_says_so_with_the_links(folder, log):
    asyncio.run(waiting_trigger(FakeApi(pod(RUNNING)), **_PLACES).on_kill())
    assert [text for _, text in log()] == [
        "The run was canceled, or its step marked or cleared: what runs of it is stopped.",
        "Run: http://there/trainyard/runs/x",
        "Results: s3://results/x/",
    ]
