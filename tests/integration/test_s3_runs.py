"""A run's way through its buckets on the real S3 server of the one-machine stack."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from samples import RUN, SPEC
from storeservers import KEY, SECRET, Bucket, OneMachineServer, serve_folder, stop, wait_for

from trainyard.domain.digest import MIB
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import Credentials
from trainyard.errors import TrainyardError
from trainyard.local.objectstore import find_rclone, objectstore_command, objectstore_environment, wait_until_ready
from trainyard.manifest.archive import ArchiveRules
from trainyard.settings import read_settings
from trainyard.steps.stage import Staged, stage
from trainyard.steps.upload import upload as store_results
from trainyard.steps.validate import validate
from trainyard.stores.base import StoreError, Why
from trainyard.stores.transfer import Source, download, upload
from trainyard.workspace.layout import Workspace

ID = RUN.model_id


def quiet(text: str) -> None:
    pass


def plant(server: OneMachineServer, bucket: Bucket, files: dict[str, bytes]) -> None:
    """Drop files into the bucket's folder as a person would, and wait until the server has noticed."""
    folder = server.folder / bucket.ref.bucket
    for key, content in files.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)
    store = bucket.open()
    wait_for(lambda: {entry.key for entry in store.list()} >= files.keys())


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.py", "print('hello')")
    return path


def test_a_run_goes_through_validation_staging_and_storing(
    one_machine_server: OneMachineServer, s3: Bucket, zip_path: Path, tmp_path: Path
) -> None:
    data = {"train/sp ace.csv": b"1,2", "ünï/日本語.bin": bytes(1000), "empty": b""}
    plant(one_machine_server, s3, data)
    spec, workspace = replace(SPEC, data=s3.ref, results=s3.ref), Workspace(tmp_path / "workspace")
    store = s3.open()
    validate(spec, store, store, zip_path, hashlib.sha256(zip_path.read_bytes()).hexdigest())

    def bring() -> Staged:
        rules = ArchiveRules.of(read_settings({}))
        return stage(RUN, spec, "vision", store, store, workspace, zip_path, rules, 4, quiet)

    staged = bring()
    assert files_in(workspace.root / staged.dataset_subpath) == data
    run = workspace.run(RUN)
    run.started.write_text("")
    run.training_log.write_text("epoch 1\n")
    (run.result / "model").mkdir()
    (run.result / "model/weights 1.bin").write_bytes(bytes(5000))
    store_results(RUN, spec, "vision", store, workspace, zip_path, Outcome(), 4, quiet)
    stored = files_in(one_machine_server.folder / s3.ref.bucket / ID)
    assert stored.keys() == {
        "model/weights 1.bin",
        "learner-1/training-log.txt",
        "learner-1/outcome.txt",
        "learner-1/load-data.log",
        "learner-1/load-model.log",
        "_submitted_code/model.zip",
    }
    assert stored["_submitted_code/model.zip"] == zip_path.read_bytes()
    run.started.unlink()
    assert bring().hit


def test_wrong_credentials_and_a_read_only_bucket_are_told_at_once(
    one_machine_server: OneMachineServer, s3: Bucket, zip_path: Path
) -> None:
    spec = replace(SPEC, data=s3.ref, results=s3.ref)
    data = s3.open(credentials=Credentials(KEY, "mistyped"))
    with pytest.raises(TrainyardError) as caught:
        validate(spec, data, s3.read_only(), zip_path, hashlib.sha256(zip_path.read_bytes()).hexdigest())
    reported = [(problem.path, problem.code) for problem in caught.value.problems]
    assert reported == [("training_data_reference", "C103"), ("training_results_reference", "C103")]
    assert not (one_machine_server.folder / s3.ref.bucket / "probe").exists()


def test_1500_objects_move_in_both_directions(s3: Bucket, tmp_path: Path) -> None:
    contents = {f"many/{number:05d}": f"{number}".encode() * 50 for number in range(1500)}
    sources = [
        Source(key, len(content), lambda content=content: io.BytesIO(content))  # type: ignore[misc]
        for key, content in contents.items()
    ]
    store = s3.open()
    assert upload(store, sources, "", 8, quiet).moved_files == 1500
    assert upload(store, sources, "", 8, quiet).moved_files == 0
    download(store, list(store.list()), tmp_path / "target", 8, quiet)
    assert files_in(tmp_path / "target") == contents


def test_a_large_file_goes_in_parts_and_is_known_afterwards(s3: Bucket, tmp_path: Path) -> None:
    content = os.urandom(MIB) * 70
    store = s3.open()
    source = Source("large.bin", len(content), lambda: io.BytesIO(content))
    assert upload(store, [source], "", 1, quiet).moved_files == 1
    assert upload(store, [source], "", 1, quiet).moved_files == 0
    download(store, list(store.list()), tmp_path / "target", 1, quiet)
    assert hashlib.md5((tmp_path / "target/large.bin").read_bytes()).digest() == hashlib.md5(content).digest()


def test_a_broken_upload_in_parts_leaves_no_object(s3: Bucket) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 30 * MIB:
                raise OSError("the disk is gone")
            return super().read(size)

    store = s3.open()
    with pytest.raises(OSError, match="the disk is gone"):
        store.put("large.bin", Breaking(bytes(70 * MIB)), 70 * MIB)
    assert list(store.list()) == []


def test_a_file_in_the_place_of_a_folder_is_refused(s3: Bucket) -> None:
    store = s3.open()
    store.put("a", io.BytesIO(b"1"), 1)
    with pytest.raises(StoreError) as caught:
        store.put("a/b", io.BytesIO(b"2"), 1)
    assert caught.value.why is Why.FORBIDDEN
    assert "its folder refuses it" in caught.value.message


def test_an_interrupted_download_is_resumed_by_the_next_process(
    one_machine_server: OneMachineServer, s3: Bucket, tmp_path: Path
) -> None:
    data = {f"file-{number}": os.urandom(200_000) for number in range(300)}
    plant(one_machine_server, s3, data)
    program = f"""
import sys
from pathlib import Path
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.transfer import download
store = S3Store({s3.ref!r}, Credentials({KEY!r}, {SECRET!r}), limits=NetworkLimits(ANYWHERE))
download(store, list(store.list()), Path({str(tmp_path / "target")!r}), 2, lambda text: print(text, flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"10 %" in line:
                break
        process.kill()
    arrived = files_in(tmp_path / "target")
    assert 0 < len(arrived) < 300
    assert all(data[key] == content for key, content in arrived.items())
    store = s3.open()
    moved = download(store, list(store.list()), tmp_path / "target", 8, quiet)
    assert moved.moved_files == 300 - len(arrived)
    assert files_in(tmp_path / "target") == data


class TestServer:
    def test_the_secret_is_not_in_the_command(self, tmp_path: Path) -> None:
        command = objectstore_command(find_rclone(), tmp_path, 1)
        environment = objectstore_environment({"RCLONE_AUTH_KEY": "theirs", "RCLONE_X": "1", "A": "b"}, KEY, SECRET)
        assert SECRET not in " ".join(command)
        assert environment == {
            "A": "b",
            "RCLONE_AUTH_KEY": f'"{KEY},{SECRET}"'.replace('h "q', 'h ""q').replace('s" &', 's"" &'),
        }

    @pytest.mark.parametrize("pair", [("a,b", "c"), ("a", "b,c")])
    def test_a_comma_in_key_or_secret_is_refused(self, pair: tuple[str, str]) -> None:
        with pytest.raises(ValueError, match="comma"):
            objectstore_environment({}, *pair)

    def test_it_listens_on_the_loopback_interface_only(self, tmp_path: Path) -> None:
        server, endpoint = serve_folder(tmp_path, tmp_path / "log")
        stop(server)
        assert endpoint.startswith("http://127.0.0.1:")
        assert "http://127.0.0.1:" in (tmp_path / "log").read_text()

    def test_objects_are_plain_files_that_outlive_it(self, tmp_path: Path) -> None:
        (tmp_path / "folder/bucket").mkdir(parents=True)
        for content in (b"one", b"two"):
            server, endpoint = serve_folder(tmp_path / "folder", tmp_path / "log")
            try:
                ref = replace(SPEC.data, bucket="bucket", endpoint=endpoint)
                store = Bucket(ref, Credentials(KEY, SECRET), {}, ref, Credentials(KEY, SECRET)).open()
                store.put(content.decode(), io.BytesIO(content), 3)
            finally:
                stop(server)
        assert files_in(tmp_path / "folder/bucket") == {"one": b"one", "two": b"two"}

    def test_a_server_that_does_not_start_is_told(self, closed_port: int) -> None:
        endpoint = f"http://127.0.0.1:{closed_port}"
        with pytest.raises(TrainyardError, match="does not start"):
            wait_until_ready(endpoint, 0.2)
        with pytest.raises(TrainyardError, match="does not start"):
            wait_until_ready(endpoint, 60, lambda: False)
