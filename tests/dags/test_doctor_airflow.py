"""What the doctor asks of Airflow and of the cluster, on real databases and over real HTTP."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from appasking import asked, created_app
from late import Late

from trainyard.core.accounts import Caller
from trainyard.domain.finding import fine
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("airflow")

airflow = Late("trainyard.doctor.airflow")
doctorcluster = Late("trainyard.doctor.cluster")
crypto = Late("airflow.models.crypto")
models = Late("airflow.models")
pools = Late("airflow.models.pool")


@contextmanager
def served(answer, headers=()):
    """Serve what `answer` says (status and JSON) for a method and path."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answer(self.command, self.path)
            self.send_response_only(status)
            for name, value in {"Content-Type": "application/json", **dict(headers)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Return a cluster of the doctor's at an address."""

    def at(url):
        named = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            "current-context": "c",
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(named))
        connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(tmp_path / "kubeconfig")}}
        monkeypatch.setenv("AIRFLOW_CONN_DOCTORED", json.dumps(connection))
        return doctorcluster.DoctorCluster("doctored", "trainings")

    return at


class TestAirflow:
    def test_pools_are_told_with_slots_and_whether_waiting_ones_count(self, database):
        with database() as session:
            pools.Pool.create_or_update_pool("gpus-a", 3, "", include_deferred=True, session=session)
            pools.Pool.create_or_update_pool("cpu", 8, "", include_deferred=False, session=session)
        assert airflow.pools_there() == {"gpus-a": (3, True), "cpu": (8, False)}

    def test_the_databases_clock_is_this_machines(self, database):
        assert abs(airflow.database_skew()) < 2

    def test_parts_that_never_ran_are_not_healthy(self, database):
        assert airflow.health()["scheduler"]["status"] == "unhealthy"

    def test_a_fernet_key_that_reads_what_is_kept_is_well(self, database):
        assert airflow.fernet_finding("key") == fine("key", "a key is set")
        with database() as session:
            session.add(models.Connection(conn_id="x", conn_type="aws", login="ada", password="engine"))
        assert airflow.fernet_finding("key") == fine("key", "a key is set, and kept credentials can be read with it")

    def test_another_fernet_key_than_credentials_were_kept_with_is_told(self, database, monkeypatch):
        with database() as session:
            session.add(models.Connection(conn_id="x", conn_type="aws", login="ada", password="engine"))
        _use_key(monkeypatch, "YW5vdGhlciBrZXksIGFsc28gMzIgYnl0ZXMgbG9uZyE=")
        try:
            found = airflow.fernet_finding("key")
        finally:
            crypto.get_fernet.cache_clear()
        assert (found.ok, found.message) == (False, "the key is not the one that credentials were kept with")

    def test_no_fernet_key_is_told(self, monkeypatch):
        _use_key(monkeypatch, "")
        try:
            found = airflow.fernet_finding("key")
        finally:
            crypto.get_fernet.cache_clear()
        assert not found.ok
        assert "AIRFLOW__CORE__FERNET_KEY" in found.hint


def _use_key(monkeypatch, key):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    crypto.get_fernet.cache_clear()


class TestDoor:
    def _connect(self, monkeypatch, host):
        door = {"conn_type": "http", "host": host, "login": "service", "password": "engine"}
        monkeypatch.setenv("AIRFLOW_CONN_TRAINYARD_FRONT_DOOR", json.dumps(door))

    def test_an_api_server_that_answers_is_well(self, monkeypatch):
        with served(lambda method, path: (200, {})) as url:
            self._connect(monkeypatch, url)
            assert airflow.door_finding("api-server") == fine("api-server", f"it answers at {url}")

    def test_one_that_is_dead_is_told_without_the_password(self, monkeypatch):
        self._connect(monkeypatch, "http://ada:engine@127.0.0.1:9")
        found = airflow.door_finding("api-server")
        assert (found.ok, found.message) == (False, "it does not answer at http://127.0.0.1:9: ConnectError")

    def test_something_else_at_its_address_is_told(self, monkeypatch):
        with served(lambda method, path: (404, {})) as url:
            self._connect(monkeypatch, url)
            assert "answers with status 404" in airflow.door_finding("api-server").message


class TestCluster:
    def test_a_cluster_whose_clock_is_ahead_says_so(self, cluster):
        date = formatdate(4_000_000_000, usegmt=True)
        version = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        needed = ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
        with served(lambda *_: (200, {**version, **dict.fromkeys(needed, "x")}), {"Date": date}.items()) as url:
            greeting = cluster(url).greet()
        assert (greeting.version, greeting.host) == ("v1.34.0", url)
        assert greeting.skew > 1e9

    def test_nodes_that_may_not_be_listed_are_told_with_the_right_that_is_missing(self, cluster):
        with served(lambda *_: (403, {})) as url, pytest.raises(TrainyardError) as caught:
            cluster(url).nodes()
        assert "not allowed to list nodes" in caught.value.message
        assert "deploy/kubernetes/examples/doctor.yaml" in caught.value.hint

    def test_verbs_that_are_refused_are_named_and_no_pod_is_asked_for(self, cluster):
        asked = []

        def refuses(method, path):
            asked.append(path)
            return 201, {"spec": {}, "status": {"allowed": False}}

        with served(refuses) as url:
            doctored = cluster(url)
            assert doctored.refused(("get", "list")) == ["get", "list"]
            with pytest.raises(TrainyardError, match="not allowed to create, delete, list pods"):
                doctored.permit()
        assert {path.rpartition("/")[2] for path in asked} == {"selfsubjectaccessreviews"}

    def test_a_cluster_that_is_too_old_to_say_who_one_is_says_nothing(self, cluster):
        with served(lambda *_: (404, {})) as url:
            assert cluster(url).user() == ""

    def test_a_token_that_the_cluster_does_not_know_is_told(self, cluster):
        with served(lambda *_: (401, {})) as url, pytest.raises(TrainyardError, match="does not know the service"):
            cluster(url).greet()

    def test_a_cluster_that_hangs_is_asked_once_and_told_so(self, cluster, monkeypatch):
        monkeypatch.setattr("trainyard.doctor.cluster._ANSWER_SECONDS", 0.2)
        reported, came, asked = threading.Event(), threading.Event(), []

        def hangs(*_):
            asked.append(1)
            came.set()
            reported.wait(240)
            return 503, {}

        with served(hangs) as url:
            with pytest.raises(TrainyardError, match="nothing came within"):
                cluster(url).greet()
            assert came.wait(120)
            reported.set()
        assert asked == [1]

    def test_a_dead_cluster_is_told_in_plain_words(self, cluster):
        reported = r"the cluster at http://127.0.0.1:9 \(connection doctored\) does not answer: connection refused"
        with pytest.raises(TrainyardError, match=reported):
            cluster("http://127.0.0.1:9").greet()


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Ask the route as somebody; the checks themselves are distinguished from it."""
    monkeypatch.setenv("TRAINYARD_WORKSPACE", str(tmp_path))
    app = created_app()
    wished = []

    def found(wishes):
        wished.append(wishes)
        yield fine("pools", "4 pools")

    app.state.doctor = found

    def asking(caller, **look):
        return asked(app, caller, "POST", "/doctor", json=look)

    asking.wished = wished
    return asking


class TestRoute:
    def test_an_admin_gets_a_line_for_each_finding_and_the_end(self, ask):
        answer = ask(Caller("root", admin=True), wait_seconds=7)
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert lines == [fine("pools", "4 pools").as_dict(), {"done": True}]
        assert ask.wished[0].wait_seconds == 7

    def test_a_member_starts_no_pods(self, ask):
        answer = ask(Caller("ada"))
        assert (answer.status_code, answer.json()["error"]["code"], ask.wished) == (403, "C106", [])

    def test_a_wait_without_end_is_refused(self, ask):
        assert ask(Caller("root", admin=True), wait_seconds=1e9).status_code == 400
