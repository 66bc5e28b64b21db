"""A real S3 server that tests kill and start again, and what they store in it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from samples import SPEC
from storeservers import KEY, SECRET, free_port, stop, wait_for

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.digest import IN_PARTS, MIB, PART
from trainyard.domain.training import Credentials
from trainyard.local.objectstore import find_rclone, objectstore_command, objectstore_environment, wait_until_ready
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.transfer import Source

LARGE = IN_PARTS + 2 * PART + 5
BUCKET = "bucket"


class Server:
    """A real S3 server that can be killed and started again on its port."""

    def __init__(self, root: Path) -> None:
        self.bucket, self._log, self.port = root / "buckets" / BUCKET, root / "server.log", free_port()
        self.bucket.mkdir(parents=True)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = objectstore_command(find_rclone(), self.bucket.parent, self.port)
        environment = objectstore_environment(os.environ, KEY, SECRET)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        wait_until_ready(self.endpoint, 120, lambda: self._process.poll() is None)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def leave(self) -> None:
        stop(self._process)

    def fill(self, **contents: bytes) -> dict[str, bytes]:
        for key, content in contents.items():
            (self.bucket / key).write_bytes(content)
        wait_for(lambda: {entry.key for entry in store_at(self.endpoint).list()} >= contents.keys())
        return contents


def store_at(endpoint: str) -> S3Store:
    return S3Store(
        replace(SPEC.data, bucket=BUCKET, endpoint=endpoint),
        Credentials(KEY, SECRET),
        8,
        limits=NetworkLimits(ANYWHERE),
    )


def quiet(text: str) -> None:
    pass


def digests_in(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def digests(contents: dict[str, bytes]) -> dict[str, str]:
    return {key: hashlib.md5(content).hexdigest() for key, content in contents.items()}


def sources(contents: dict[str, bytes]) -> list[Source]:
    return [Source(key, len(content), partial(io.BytesIO, content)) for key, content in contents.items()]


def small_and_large() -> dict[str, bytes]:
    small = {f"small-{number:03d}": os.urandom(20_000) for number in range(60)}
    return {**small, "large": os.urandom(MIB) * (LARGE // MIB) + b"12345", "middle": os.urandom(3 * MIB)}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("store"))
    try:
        yield server
    finally:
        server.leave()


@pytest.fixture
def server(started: Server) -> Server:
    shutil.rmtree(started.bucket)
    started.bucket.mkdir()
    wait_for(lambda: not list(store_at(started.endpoint).list()))
    return started
