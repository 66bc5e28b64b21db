"""A key of the one-machine object store for each account, on the real server: own buckets, own drops, nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from storeservers import free_port, stop

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.local import objectkeys
from trainyard.local.objectstore import find_rclone, keyed_objectstore, wait_until_ready
from trainyard.local.ready import wait_for
from trainyard.settings import read_settings
from trainyard.stores.opening import open_store

pytestmark = pytest.mark.xdist_group("object keys")  # one worker makes what its tests share

KEY, SECRET = "trainyard-1a2b", "operators"
LARGE = b"part" * 10 * 2**20


@dataclass
class Keyed:
    folder: Path
    endpoint: str
    accounts: dict[str, dict[str, Any]]

    def client(self, key: str, secret: str) -> Any:
        config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0})
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=config,
        )

    def of(self, account: str) -> Any:
        return self.client(self.accounts[account]["access_key"], self.accounts[account]["secret_key"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    # Blanks and quotes, as a home's folders may have them.
    folder, port = tmp_path_factory.mktemp("kept") / 'my "own" objects', free_port()
    command, environment = keyed_objectstore(find_rclone(), folder, port, KEY, SECRET)
    accounts = objectkeys.open_accounts(environment, ("default", "team_1.x"))
    (folder / "private").mkdir()
    (folder / "private" / "secret").write_bytes(b"secret")
    with (folder.parent / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}"
    wait_until_ready(endpoint, 120, lambda: server.poll() is None)
    yield Keyed(folder, endpoint, accounts)
    stop(server)


def names(client: Any) -> set[str]:
    return {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


@pytest.mark.parametrize("account", ["default", "team_1.x"])
def test_an_account_sees_its_own_buckets_alone(store, account):
    kinds = ("inbox", "accepted", "refused", "data", "results")
    assert names(store.of(account)) == {f"{kind}-{account}" for kind in kinds}


def test_the_operators_key_opens_every_bucket(store):
    assert {"private", "trainyard", "data-default", "results-team_1.x"} <= names(store.client(KEY, SECRET))


def test_what_an_account_drops_lies_where_the_inbox_of_that_account_is_looked_for(store):
    store.of("default").put_object(Bucket="inbox-default", Key="digits/manifest.yml", Body=b"text")
    assert (store.folder / "trainyard/inbox/default/digits/manifest.yml").read_bytes() == b"text"


@pytest.mark.parametrize("door", ["folder", "s3"])
def test_an_account_drops_again_after_the_service_has_taken_its_last_drop(store, door):
    client = store.of("team_1.x")
    client.put_object(Bucket="inbox-team_1.x", Key="one/model.zip", Body=b"zip")
    inbox = StoreRef(door, "trainyard", store.folder.as_uri() if door == "folder" else store.endpoint)
    settings = read_settings({"TRAINYARD_FOLDER_STORES": str(store.folder)})
    open_store(inbox, Credentials(KEY, SECRET), settings, ANYWHERE).delete("inbox/team_1.x/one/model.zip")
    assert wait_for(lambda: not client.list_objects_v2(Bucket="inbox-team_1.x").get("KeyCount"), 120)
    client.put_object(Bucket="inbox-team_1.x", Key="two/model.zip", Body=b"zip")
    assert (store.folder / "trainyard/inbox/team_1.x/two/model.zip").read_bytes() == b"zip"
    client.delete_object(Bucket="inbox-team_1.x", Key="two/model.zip")


@pytest.mark.parametrize("bucket", ["trainyard", "private", "inbox-team_1.x", "data-team_1.x", "results-team_1.x"])
def test_an_account_reads_and_writes_nothing_of_others(store, bucket):
    client = store.of("default")
    for ask in (
        lambda: client.put_object(Bucket=bucket, Key="inbox/team_1.x/drop/manifest.yml", Body=b"forged"),
        lambda: client.get_object(Bucket=bucket, Key="secret"),
        lambda: client.list_objects_v2(Bucket=bucket),
        lambda: client.copy_object(Bucket="data-default", Key="got", CopySource={"Bucket": bucket, "Key": "secret"}),
    ):
        with pytest.raises(ClientError):
            ask()
    assert not [path for path in store.folder.rglob("manifest.yml") if path.read_bytes() == b"forged"]


@pytest.mark.parametrize("key", ["../private/secret", "x/../../private/secret", "/../private/secret", ".."])
def test_no_key_of_an_object_leads_out_of_a_bucket(store, key):
    client = store.of("default")
    for ask in (
        lambda: client.put_object(Bucket="data-default", Key=key, Body=b"forged"),
        lambda: client.get_object(Bucket="data-default", Key=key),
    ):
        with pytest.raises(ClientError):
            ask()
    assert (store.folder / "private" / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize(
    "pair",
    [
        (KEY, "wrong"),
        (KEY, ""),
        (f"{KEY}-default", SECRET),
        (f"{KEY}-default", objectkeys.account_secret(SECRET, "team_1.x")),
        (f"{KEY}-nobody", objectkeys.account_secret(SECRET, "nobody")),
        (f"{KEY}-..", objectkeys.account_secret(SECRET, "..")),
        ("someone", SECRET),
    ],
)
def test_a_key_with_another_secret_or_of_no_account_opens_nothing(store, pair):
    with pytest.raises(ClientError, match=r"AccessDenied|Forbidden|InvalidAccessKey|SignatureDoesNotMatch"):
        store.client(pair[0], pair[1] or "empty").list_buckets()
    assert not (store.folder / "data-nobody").exists()


def test_the_services_own_adapter_stores_and_lists_with_an_accounts_key(store, tmp_path):
    pair = store.accounts["default"]
    ref = StoreRef("s3", "results-default", store.endpoint)
    opened = open_store(ref, Credentials(pair["access_key"], pair["secret_key"]), read_settings({}), ANYWHERE)
    (tmp_path / "large").write_bytes(LARGE)
    with (tmp_path / "large").open("rb") as file:
        opened.put("m/large", file, len(LARGE))
    assert {entry.key: entry.size for entry in opened.list()} == {"m/large": len(LARGE)}


def test_the_operator_asks_for_an_accounts_key_at_a_prompt(store):
    environment = objectkeys.store_environment(store.folder, KEY, SECRET)
    command = [sys.executable, "-m", objectkeys.__name__, "default"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert store.accounts["default"]["secret_key"] in done.stdout
    assert SECRET not in done.stdout
