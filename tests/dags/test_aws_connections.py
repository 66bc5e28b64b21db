"""S3 stores as Airflow's connections of the type aws open them, on a real S3 server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from late import Late
from samples import MODEL_ID, SPEC, training
from storeservers import KEY, SECRET, one_machine_server, s3

from trainyard.domain.training import Credentials, StoreRef, Submission
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings
from trainyard.stores.base import StoreError, Why

__all__ = ["one_machine_server", "s3"]
pytestmark = pytest.mark.xdist_group("airflow")

models = Late("airflow.models")
connections = Late("trainyard.airflow.connections")
app = Late("trainyard.airflow.app")
_SETTINGS = read_settings({})
_OWN = f"{MODEL_ID}.data"
_KEYS = {"login": KEY, "password": SECRET}


@pytest.fixture(autouse=True)
def _no_rights_of_this_machine(monkeypatch, tmp_path):
    """Have botocore find what a machine with a role of its own finds, so that it shows where that is used."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _make(database, name: str, extra: dict | None = None, **values) -> None:
    with database() as session:
        known = {"conn_type": "aws", "extra": json.dumps(extra or {}), **values}
        session.add(models.Connection(conn_id=name, **known))


def _named(bucket, name: str = "team-bucket") -> StoreRef:
    return StoreRef("s3", bucket.ref.bucket, "", connection=name)


def _open(ref: StoreRef, settings=_SETTINGS):
    return connections.open_served(ref, _OWN, settings)


def _moves(store) -> None:
    """Move a small object, which is another library's, and a larger one."""
    for key, content in (("small", b"content"), ("large", b"x" * 2_000_000)):
        entry, into = store.put(key, io.BytesIO(content), len(content)), io.BytesIO()
        store.read(entry, 0, len(content), into)
        assert into.getvalue() == content
    assert [entry.key for entry in store.list()] == ["large", "small"]


class TestTheServicesOwn:
    def test_a_connection_in_airflows_table_opens_the_bucket_that_a_manifest_names(self, database, s3):
        _make(database, "team-bucket", {"endpoint_url": s3.ref.endpoint}, **_KEYS)
        _moves(_open(_named(s3)))

    def test_so_does_one_in_the_environment(self, database, s3, monkeypatch):
        told = {"conn_type": "aws", **_KEYS, "extra": {"endpoint_url": s3.ref.endpoint, "region_name": "eu-west-1"}}
        monkeypatch.setenv("AIRFLOW_CONN_TEAM_BUCKET", json.dumps(told))
        _moves(_open(_named(s3, "team_bucket")))

    def test_one_without_keys_has_the_rights_of_the_machine(self, database, s3):
        _make(database, "team-bucket", {"endpoint_url": s3.ref.endpoint})
        _moves(_open(_named(s3)))

    def test_one_that_is_gone_never_gets_the_rights_of_the_machine(self, database, s3):
        with pytest.raises(TrainyardError, match="there is no connection team-bucket") as caught:
            _open(_named(s3))
        assert caught.value.code.code == "S500"

    def test_one_of_another_type_opens_no_store(self, database, s3):
        _make(database, "team-bucket", {"endpoint_url": s3.ref.endpoint}, **{**_KEYS, "conn_type": "http"})
        with pytest.raises(TrainyardError, match="of the type http, and S3 needs aws"):
            _open(_named(s3))

    def test_wrong_keys_are_told_without_the_address_and_with_whom_to_ask(self, database, s3):
        _make(database, "team-bucket", {"endpoint_url": s3.ref.endpoint}, login=KEY, password="wrong-secret")
        with pytest.raises(StoreError) as caught:
            list(_open(_named(s3)).list())
        assert caught.value.why in (Why.CREDENTIALS, Why.FORBIDDEN)
        assert f"bucket {s3.ref.bucket} of the connection team-bucket" in caught.value.message
        assert "127.0.0.1" not in caught.value.message
        assert "whoever runs the service" in caught.value.hint

    def test_it_says_how_buckets_are_addressed(self, database, s3):
        style = {"config_kwargs": {"s3": {"addressing_style": "virtual"}}}
        _make(database, "team-bucket", {"endpoint_url": "http://objects.example.invalid", **style}, **_KEYS)
        with pytest.raises(StoreError) as caught:
            list(_open(_named(s3)).list())
        assert f"{s3.ref.bucket}.objects.example.invalid" in caught.value.message

    def test_one_that_cannot_be_read_as_one_of_s3_is_told_without_what_it_holds(self, database, s3):
        _make(
            database, "team-bucket", {"role_arn": "arn:aws:iam::1:role/a", "assume_role_method": "by-s3cret"}, **_KEYS
        )
        with pytest.raises(StoreError, match=r"gives no rights to S3: NotImplementedError$") as caught:
            _open(_named(s3))
        assert caught.value.code.code == "S302"


class TestRoles:
    def test_a_role_is_assumed_and_asked_for_again_before_its_keys_end(self, database, s3):
        with _sts(lifetime=timedelta(seconds=5)) as sts:
            self._make_role(database, s3, sts)
            store = _open(_named(s3))
            before = len(sts.asked)
            _moves(store)
            assert len(sts.asked) > before > 0
            assert all("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ftrainer" in each for each in sts.asked)

    def test_while_its_keys_are_good_it_is_asked_for_once(self, database, s3):
        with _sts(lifetime=timedelta(hours=1)) as sts:
            self._make_role(database, s3, sts)
            _moves(_open(_named(s3)))
            assert len(sts.asked) == 1

    def test_a_role_that_is_refused_is_told_by_its_code(self, database, s3):
        with _sts(status=403) as sts:
            self._make_role(database, s3, sts)
            with pytest.raises(StoreError, match=r"gives no rights to S3: ClientError AccessDenied$"):
                _open(_named(s3))

    def _make_role(self, database, s3, sts) -> None:
        extra = {
            "endpoint_url": s3.ref.endpoint,
            "region_name": "us-east-1",
            "role_arn": "arn:aws:iam::1:role/trainer",
            "service_config": {"sts": {"endpoint_url": sts.url}},
        }
        _make(database, "team-bucket", extra, login="base", password="of the role")


class TestATrainingsOwn:
    def _keep(self, s3, credentials: Credentials) -> StoreRef:
        spec = replace(SPEC, data=s3.ref, results=s3.ref)
        connections.ConnectionVault().keep(MODEL_ID, Submission(spec, credentials, credentials))
        return s3.ref

    def _inside(self, s3):
        return read_settings({"TRAINYARD_STORE_INTERNAL": s3.ref.endpoint.partition("://")[2]})

    def test_its_keys_open_its_bucket(self, database, s3):
        _moves(_open(self._keep(s3, s3.credentials), self._inside(s3)))

    def test_it_keeps_to_the_address_policy_as_no_connection_of_the_services_has_to(self, database, s3):
        with pytest.raises(StoreError) as caught:
            list(_open(self._keep(s3, s3.credentials)).list())
        assert caught.value.why is Why.ADDRESS

    def test_keys_that_are_gone_are_not_replaced_by_the_rights_of_the_machine(self, database, s3):
        _make(database, _OWN, {"endpoint_url": s3.ref.endpoint, "aws_access_key_id": KEY})
        with pytest.raises(TrainyardError, match="has no keys any more"):
            _open(s3.ref, self._inside(s3))

    def test_what_was_kept_before_is_read_still(self, database, s3):
        _make(database, _OWN, conn_type="generic", password=json.dumps(asdict(s3.credentials)))
        _moves(_open(s3.ref, self._inside(s3)))


class TestQuotas:
    """What is downloaded after the account lost the connection."""

    def _app(self, tmp_path, allowed: str):
        quotas = tmp_path / "quotas.yaml"
        quotas.write_text(
            f"accounts: [{{name: vision, gpus: 4, members: [ada], max_hours: 1, connections: [{allowed}]}}]"
        )
        return app.App(read_settings({"TRAINYARD_QUOTAS_FILE": str(quotas)}))

    def _training(self, s3):
        named = replace(SPEC, data=_named(s3), results=_named(s3))
        return replace(training(), spec=named)

    def test_results_are_served_while_the_account_may_use_the_connection(self, database, s3, tmp_path):
        _make(database, "team-bucket", {"endpoint_url": s3.ref.endpoint}, **_KEYS)
        assert list(self._app(tmp_path, "team-bucket").served_results_store(self._training(s3)).list()) == []

    def test_and_not_afterwards(self, database, s3, tmp_path):
        _make(database, "team-bucket", {"endpoint_url": s3.ref.endpoint}, **_KEYS)
        with pytest.raises(TrainyardError) as caught:
            self._app(tmp_path, "").served_results_store(self._training(s3))
        assert caught.value.code.code == "C104"

    def test_an_account_that_is_gone_may_use_none(self, database, s3, tmp_path):
        elsewhere = replace(self._training(s3), account="of-yore")
        with pytest.raises(TrainyardError) as caught:
            self._app(tmp_path, "team-bucket").check_connections(elsewhere)
        assert caught.value.code.code == "C104"


class _Sts:
    def __init__(self, url: str, asked: list[str]) -> None:
        self.url, self.asked = url, asked


@contextmanager
def _sts(lifetime: timedelta = timedelta(hours=1), status: int = 200) -> Iterator[_Sts]:
    """Serve what AWS's STS answers: the keys of the S3 server, for so long."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            until = (datetime.now(UTC) + lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
            keys = f"<AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{_xml(SECRET)}</SecretAccessKey>"
            result = f"<Credentials>{keys}<SessionToken>t</SessionToken><Expiration>{until}</Expiration></Credentials>"
            good = f"<AssumeRoleResponse><AssumeRoleResult>{result}</AssumeRoleResult></AssumeRoleResponse>"
            bad = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
            body = (good if status == 200 else bad).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield _Sts(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _xml(text: str) -> str:
    return text.replace("&", "&amp;")
