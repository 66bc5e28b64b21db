"""What reading a run's metrics costs: millions of points in time and memory, and the answer that a page waits for."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure
from trainyard.domain.metricrules import MetricRules, rules_of
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.metrics.answering import answer_of
from trainyard.workspace.metrics.readings import read_whole
from trainyard.workspace.metrics.state import load

POINTS = int(os.environ.get("POINTS", "10000000"))
_METRICS = 5
_PATTERNS = {"loss": r"loss[ =:]+([0-9.]+)", "acc": r"acc=(?P<value>%{FLOAT})"}
_ANSWERS = 20


def measure(say: Callable[[str], None]) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as place:
        for name, count, write in (
            ("JSON lines", POINTS, json_lines),
            ("TensorBoard", POINTS // 10, _summaries),
            ("log, two patterns", POINTS // 10, _log),
        ):
            folder = Path(place, write.__name__)
            say(f"writing and reading {count:,} points: {name}")
            write(folder, count)
            seconds, grown = read_apart(folder)
            yield Figure(f"metrics: read {count:,} points, {name}", [seconds], "s")
            yield Figure(f"metrics: most memory meanwhile, {name}", [grown], "MB", goal=20)
        yield Figure(
            "metrics: answer of 5 curves, 2,000 points each", _answers(Path(place, json_lines.__name__)), "ms", 100
        )


def read_apart(folder: Path) -> tuple[float, float]:
    """Read a folder in a process of its own; return its processor seconds, and the megabytes that it grew by."""
    done = subprocess.run([sys.executable, "-m", "bench.metrics", str(folder)], capture_output=True, check=True)
    seconds, grown = json.loads(done.stdout)
    return seconds, grown


def _answers(folder: Path) -> list[float]:
    """Return how many milliseconds of a processor it takes each time from the kept points to an answer's text."""
    found = []
    for _ in range(_ANSWERS):
        begun = time.process_time()
        state = load(RunFolder(folder))
        assert state is not None
        json.dumps(answer_of(state, "training-000000000"))
        found.append(1000 * (time.process_time() - begun))
    return found


def json_lines(folder: Path, count: int) -> None:
    """Write so many points of five metrics into a run's folder."""
    with _file(folder, "logs/metrics.jsonl").open("w") as file:
        for step in range(count // _METRICS):
            values = (
                f'"loss": {math.sin(step):.5f}, "a": 1, "b": 2.5, "lr": {1 / (step + 1):.3e}, "acc": {step / count:.4f}'
            )
            file.write(f'{{"step": {step}, {values}}}\n')


def _summaries(folder: Path, count: int) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter

    writer = RecordWriter(str(_file(folder, "logs/tb/events.out.tfevents.1")))
    for step in range(count):
        value = Summary.Value(tag="loss", simple_value=math.sin(step))
        writer.write(Event(step=step, wall_time=1.7e9 + step, summary=Summary(value=[value])).SerializeToString())
    writer.close()


def _log(folder: Path, count: int) -> None:
    with _file(folder, "logs/learner-1/training-log.txt").open("w") as file:
        for step in range(count // 2):
            file.write(f"epoch 1 step {step} loss: {math.sin(step) ** 2:.5f} acc={step / count:.4f} lr 0.001\n")


def _file(folder: Path, name: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _read_here(folder: Path) -> None:
    rules = rules_of({}, _PATTERNS) if (folder / "logs" / "learner-1").exists() else MetricRules()
    read_whole(RunFolder(folder / "nothing"), rules)  # imports what it needs
    before, begun = _peak(), time.process_time()
    read_whole(RunFolder(folder), rules, seconds=36_000)
    print(json.dumps([time.process_time() - begun, _peak() - before]))


def _peak() -> float:
    """Return the most megabytes that this program has had; what the kernel tells otherwise is its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    _read_here(Path(sys.argv[1]))
