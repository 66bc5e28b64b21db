"""Real servers of object stores on the loopback interface, and buckets in them."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from swiftcloud.cloud import DOMAIN, PASSWORD
from swiftcloud.sharing import SwiftCloud, ready_cloud
from wire import Wire

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.local.objectstore import (
    find_rclone,
    objectstore_command,
    objectstore_environment,
    wait_until_ready,
)
from trainyard.local.ports import pick_port
from trainyard.settings import read_settings
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.opening import open_store

KEY, SECRET = "one-machine-key", 'secret with "quotes" & a : colon'


def free_port() -> int:
    """Return a port for a server, below those that the system lends to clients: none of them takes it meanwhile."""
    return pick_port(random.randrange(24_000, 32_000))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def serve_folder(folder: Path, log: Path, read_only: bool = False) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    with log.open("wb") as output:
        server = subprocess.Popen(
            objectstore_command(find_rclone(), folder, port, read_only),
            env=objectstore_environment(os.environ, KEY, SECRET),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(endpoint, 120, lambda: server.poll() is None)
    except BaseException:
        stop(server)
        raise
    return server, endpoint


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@dataclass(frozen=True)
class OneMachineServer:
    folder: Path
    endpoint: str
    read_only_endpoint: str


@dataclass(frozen=True)
class Bucket:
    """A new bucket, and how to open it rightly and wrongly. `options` are settings by their variables."""

    ref: StoreRef
    credentials: Credentials
    options: dict[str, str]
    read_only_ref: StoreRef
    read_only_credentials: Credentials

    def open(self, ref: StoreRef | None = None, credentials: Credentials | None = None) -> Store:
        settings = read_settings(self.options)
        return open_store(ref or self.ref, credentials or self.credentials, settings, ANYWHERE)

    def read_only(self) -> Store:
        return self.open(self.read_only_ref, self.read_only_credentials)

    def missing(self) -> Store:
        return self.open(replace(self.ref, bucket="no-such-bucket"))


@pytest.fixture(scope="session")
def one_machine_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneMachineServer]:
    folder, logs = tmp_path_factory.mktemp("buckets"), tmp_path_factory.mktemp("logs")
    server, endpoint = serve_folder(folder, logs / "writable")
    try:
        read_only, read_only_endpoint = serve_folder(folder, logs / "read-only", read_only=True)
        try:
            yield OneMachineServer(folder, endpoint, read_only_endpoint)
        finally:
            stop(read_only)
    finally:
        stop(server)


@pytest.fixture
def s3(one_machine_server: OneMachineServer) -> Bucket:
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    (one_machine_server.folder / name).mkdir()
    ref = StoreRef("s3", name, one_machine_server.endpoint)
    read_only = replace(ref, endpoint=one_machine_server.read_only_endpoint)
    bucket = Bucket(ref, Credentials(KEY, SECRET), {}, read_only, Credentials(KEY, SECRET))
    wait_for(lambda: _is_seen(bucket.open()) and _is_seen(bucket.read_only()))
    return bucket


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for what comes true by itself soon, such as a folder that a server has to notice."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def _is_seen(store: Store) -> bool:
    try:
        return list(store.list()) == []
    except StoreError as error:
        if error.why is not Why.NO_BUCKET:
            raise
        return False


@pytest.fixture(scope="session")
def swiftcloud() -> SwiftCloud:
    """The servers themselves were started when the tests had been collected."""
    return ready_cloud()


@pytest.fixture(scope="session")
def swift_hands(swiftcloud: SwiftCloud) -> Iterator[Any]:
    """A plain client of Swift, to lay and look at what our own adapter has no words for."""
    from keystoneauth1.identity.v3 import Password
    from keystoneauth1.session import Session
    from swiftclient import Connection

    ada = Password(
        f"{swiftcloud.keystone}/v3",
        username="ada",
        password=PASSWORD,
        user_domain_name=DOMAIN,
        project_id=swiftcloud.project,
    )
    hands = Connection(session=Session(ada), auth_version="3", os_options={"region_name": "dallas"})
    yield hands
    hands.close()


@pytest.fixture
def swift(swiftcloud: SwiftCloud, swift_hands: Any) -> Bucket:
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    swift_hands.put_container(name)
    ref = StoreRef("bluemix_objectstore", name, swiftcloud.keystone, "dallas", DOMAIN, swiftcloud.project)
    return Bucket(ref, Credentials("ada", PASSWORD), {}, ref, Credentials("reader", PASSWORD))


@pytest.fixture
def wire(swiftcloud: SwiftCloud) -> Iterator[Wire]:
    with Wire(swiftcloud.swift) as wire:
        yield wire


@pytest.fixture
def wired(swiftcloud: SwiftCloud, swift: Bucket, wire: Wire) -> Iterator[Bucket]:
    """The bucket in a region of its own, whose address is the wire's."""
    with in_region_of(swiftcloud, swift, wire.url) as there:
        yield there


@contextmanager
def in_region_of(cloud: SwiftCloud, bucket: Bucket, url: str) -> Iterator[Bucket]:
    """Yield the bucket in a region of its own, whose Swift is at this address."""
    region = f"region-{uuid.uuid4().hex[:8]}"
    admin = cloud.admin()
    admin.regions.create(region)
    endpoint = admin.endpoints.create(cloud.service, f"{url}/v1/AUTH_%(project_id)s", "public", region)
    yield replace(bucket, ref=replace(bucket.ref, region=region))
    admin.endpoints.delete(endpoint)
    admin.regions.delete(region)


def end_tokens(cloud: SwiftCloud, wire: Wire) -> Callable[[], None]:
    """Return a deed that has Keystone end every token shown on the wire, and waits until Swift knows."""

    def action() -> None:
        account = f"{cloud.swift}/v1/AUTH_{cloud.project}"
        for token in wire.tokens:
            cloud.admin().tokens.revoke_token(token)
            wait_for(lambda token=token: httpx.head(account, headers={"X-Auth-Token": token}).status_code == 401)  # type: ignore[misc]

    return action
