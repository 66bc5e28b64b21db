"""`trainyard tensorboard`: the summaries of runs, and an environment that is made once."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from trainyard.cli.livesummaries import LiveSummaries
from trainyard.cli.tensorboardenv import REQUIREMENTS, environment_folder, installed, serve
from trainyard.client.errors import WrongUsageError
from trainyard.errors import TrainyardError

pytest_plugins = ["cli_front_door"]
ID = "training-DOl4q2LkR"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment that is there already, whose interpreter notes what it is started with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = environment_folder()
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/started\nfind "$4" -type f >> {tmp_path}/started\n')
    python.chmod(0o755)
    (folder / "ready").write_text("\n".join(REQUIREMENTS))
    return tmp_path / "started"


def test_the_summaries_of_runs_are_fetched_and_served_here_alone(cli, front_door, environment):
    other = "training-other0001"
    for model_id, place in ((ID, "logs/tb/train"), (other, "learner-1/tb")):
        front_door.add(model_id, state="completed", phase="done")
        front_door.results[model_id] = {f"{place}/events.out.tfevents.1": b"x", "model/weights": b"y" * 1000}
    done = cli("tensorboard", ID, other, "--port", "6007")
    assert done.code == 0, done.err
    words, *files = environment.read_text().splitlines()
    assert "--host 127.0.0.1 --port 6007" in words
    assert sorted(file.partition("/training-")[2] for file in files) == [
        "DOl4q2LkR/logs/tb/train/events.out.tfevents.1",
        "other0001/learner-1/tb/events.out.tfevents.1",
    ]


def test_a_run_without_summaries_says_so(cli, front_door, environment):
    front_door.add(ID, state="completed", phase="done")
    front_door.results[ID] = {"model/weights": b"y"}
    done = cli("tensorboard", ID)
    assert (done.code, "has stored no TensorBoard summaries" in done.err) == (1, True)
    assert not environment.exists()


class GoingRun:
    """A run that writes a summary while it is looked at, and stores it under another name in the end."""

    def __init__(self):
        self.written, self.ended, self.stored, self.broken = b"", False, b"", False

    def run(self, model_id):
        if self.broken:
            raise TrainyardError("S500", "no answer", "Try again.")
        return SimpleNamespace(ended=self.ended)

    def summaries(self, model_id):
        return [] if self.ended else [SimpleNamespace(name="logs/tb/events.tfevents.1", size=len(self.written))]

    def summary(self, model_id, name, start):
        return self.written[start : start + 3]

    def results(self, model_id):
        names = ("learner-1/tb/events.tfevents.1", "learner-1/tb/late.tfevents.2", "model/weights")
        return [SimpleNamespace(name=name, size=len(self.stored)) for name in names]

    def result(self, model_id, name, start):
        yield self.stored[start:]


class TestWhileARunIsGoing:
    @pytest.fixture
    def live(self, tmp_path):
        self.said = []
        self.going = GoingRun()
        return LiveSummaries(self.going, [ID], tmp_path, self.said.append)

    def test_what_its_program_writes_is_copied_on(self, live, tmp_path):
        copied = tmp_path / ID / "logs/tb/events.tfevents.1"
        for self.going.written in (b"01234567", b"0123456789abc", b"new"):
            live.copy()
            assert copied.read_bytes() == self.going.written
        assert not live.over

    def test_at_its_end_the_rest_comes_from_the_bucket(self, live, tmp_path):
        self.going.written = b"01234"
        live.copy()
        self.going.ended, self.going.stored = True, b"0123456789"
        live.copy()
        assert live.over
        found = {path.name: path.read_bytes() for path in (tmp_path / ID).rglob("*") if path.is_file()}
        assert found == {"events.tfevents.1": b"0123456789", "late.tfevents.2": b"0123456789"}

    def test_a_service_that_does_not_answer_is_asked_again(self, live, tmp_path):
        self.going.broken, self.going.written = True, b"0"
        live.copy()
        assert "no answer" in self.said[0]
        self.going.broken = False
        live.copy()
        assert (tmp_path / ID / "logs/tb/events.tfevents.1").read_bytes() == b"0"


@pytest.mark.parametrize("words", [["--port", "0"], ["--port", "65536"], ["--port", "x"]])
def test_a_port_that_cannot_be_is_wrong_usage(cli, front_door, words):
    assert cli("tensorboard", ID, *words).code == 2
    assert front_door.asked == []


def test_an_environment_that_cannot_be_made_is_told_and_made_anew_the_next_time(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    said = []
    for _ in range(2):
        with pytest.raises(WrongUsageError, match="cannot be installed"):
            installed(said.append, tmp_path / "env")
    assert len(said) == 2


def test_a_tensorboard_that_does_not_start_is_told(tmp_path):
    with pytest.raises(WrongUsageError, match="exit code 1"):
        serve(_python_without_tensorboard(tmp_path), tmp_path, 6006)


def _python_without_tensorboard(folder):
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@" 2>/dev/null\n')
    script.chmod(0o755)
    assert subprocess.run([script, "-c", "import tensorboard.main"], check=False).returncode
    return script
