"""What the one-machine stack stands on: ports, secrets, environment, processes, and waiting with a limit."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import stat
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from trainyard.local import processes
from trainyard.local.environment import airflow_environment, read_env_file
from trainyard.local.ports import PortReservations, pick_port
from trainyard.local.ready import answers, heartbeat, wait_for
from trainyard.local.records import Records, Running
from trainyard.local.secrets import Secrets
from trainyard.settings import read_settings


class TestPorts:
    @pytest.fixture
    def taken(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            yield listener.getsockname()[1]

    def test_the_usual_port_is_taken_where_nobody_listens(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        assert pick_port(free) == free

    def test_a_port_that_is_in_use_gives_way_to_a_free_one(self, taken):
        assert pick_port(taken) not in (0, taken)

    def test_a_server_that_is_started_again_keeps_its_port_while_others_run_that_were_told_of_it(self, taken, tmp_path):
        records = Records(tmp_path)
        (tmp_path / "ports.json").write_text(json.dumps({"api-server": taken}))
        myself = psutil.Process()
        records.remember("scheduler", Running(myself.pid, myself.create_time(), ""))
        with PortReservations() as reservations:
            assert records.ports({"api-server": 8080}, reservations) == {"api-server": taken}
            records.forget("scheduler")
            assert records.ports({"api-server": 8080}, reservations) != {"api-server": taken}


class TestSecrets:
    def test_they_are_made_once(self, tmp_path):
        made = Secrets.of(tmp_path / "secrets.json")
        assert Secrets.of(tmp_path / "secrets.json") == made

    def test_two_stacks_share_none(self, tmp_path):
        one, other = (vars(Secrets.of(tmp_path / name)) for name in ("one", "other"))
        assert not set(one.values()) & set(other.values())

    def test_nobody_else_can_read_them(self, tmp_path):
        Secrets.of(tmp_path / "secrets.json")
        assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600

    def test_what_is_written_again_is_still_nobody_elses(self, tmp_path):
        file = tmp_path / "client.json"
        file.write_text("{}")
        file.chmod(0o644)
        Secrets.write(file, {"password": "x"})
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [file]

    def test_they_do_not_show_in_a_repr(self, tmp_path):
        made = Secrets.of(tmp_path / "secrets.json")
        assert not [value for value in vars(made).values() if value in repr(made)]

    def test_the_keys_are_long_enough_for_what_airflow_does_with_them(self, tmp_path):
        made = Secrets.of(tmp_path / "secrets.json")
        assert len(base64.urlsafe_b64decode(made.fernet_key)) == 32
        assert len(made.jwt_secret.encode()) >= 64  # SHA-512's


class TestEnvironment:
    @pytest.fixture
    def environment(self, tmp_path):
        return airflow_environment(tmp_path / ".trainyard", 8080, Secrets.of(tmp_path / "secrets.json"))

    def test_it_is_the_file_of_settings_with_this_stacks_places(self, environment, tmp_path):
        assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
        assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8080"
        assert environment["AIRFLOW_HOME"] == str(tmp_path / ".trainyard" / "airflow")
        assert all(isinstance(value, str) for value in environment.values())

    def test_its_database_is_its_own_whatever_airflow_the_shell_knows(self, environment, tmp_path):
        database = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert database == f"sqlite:///{tmp_path / '.trainyard' / 'airflow' / 'airflow.db'}"

    def test_its_processes_keep_bytecode_for_each_other_whatever_the_shell_wants(self, environment):
        assert environment["PYTHONDONTWRITEBYTECODE"] == ""  # to Python as good as not set

    def test_trainings_run_on_the_local_cluster_unless_the_caller_names_another_one(self, environment, tmp_path):
        connection = json.loads(environment["AIRFLOW_CONN_KUBERNETES_DEFAULT"])
        assert connection["extra"]["kube_config_path"] == str(tmp_path / ".trainyard" / "cluster" / "kubeconfig")

    @pytest.mark.parametrize("name", ["kubernetes_default", "theirs"])
    def test_the_callers_connection_to_a_cluster_is_not_overwritten(self, tmp_path, monkeypatch, name):
        monkeypatch.setenv("TRAINYARD_KUBERNETES_CONNECTION", name)
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", '{"conn_type": "kubernetes"}')
        found = airflow_environment(tmp_path / ".trainyard", 8080, Secrets.of(tmp_path / "secrets.json"))
        assert not {"AIRFLOW_CONN_KUBERNETES_DEFAULT", f"AIRFLOW_CONN_{name.upper()}"} & found.keys()

    def test_bundle_and_front_door_look_into_the_same_catalogue(self, environment):
        bundles = json.loads(environment["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
        (trainings,) = [bundle for bundle in bundles if bundle["name"] == "trainings"]
        assert Path(trainings["kwargs"]["catalogue"]) == read_settings(environment).catalogue

    def test_the_admins_password_is_in_a_file_that_nobody_else_reads(self, environment, tmp_path):
        file = tmp_path / ".trainyard" / "airflow" / "passwords.json"
        assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"] == str(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text()) == {"admin": Secrets.of(tmp_path / "secrets.json").password}

    def test_a_password_that_somebody_changed_is_kept(self, environment, tmp_path):
        file = tmp_path / ".trainyard" / "airflow" / "passwords.json"
        file.write_text('{"admin": "changed"}')
        airflow_environment(tmp_path / ".trainyard", 8080, Secrets.of(tmp_path / "secrets.json"))
        assert file.read_text() == '{"admin": "changed"}'

    def test_comments_and_empty_lines_of_a_file_of_settings_are_skipped(self, tmp_path):
        file = tmp_path / "airflow.env"
        file.write_text("# why\n\nA=1\n  B=x=y # kept\nC=\n")
        assert read_env_file(file) == {"A": "1", "B": "x=y # kept", "C": ""}


# A server outlives whoever started it, and Python warns of that.
@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")
class TestProcesses:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / ".trainyard"
        folder.mkdir()
        yield folder
        processes.end(processes.of_stack(folder, {}), 5)

    @staticmethod
    def _start(folder, *command):
        pid = processes.start(command, {}, folder / "log", folder).pid
        return pid, processes.started_at(pid)

    def test_a_process_that_was_started_is_found_by_its_mark_and_ended(self, folder):
        pid, started = self._start(folder, "sleep", "60")
        assert processes.alive(pid, started)
        assert wait_for(lambda: [found.pid for found in processes.of_stack(folder, {})] == [pid], 120)
        assert processes.end(processes.of_stack(folder, {}), 10) == 1
        assert not processes.alive(pid, started)
        assert processes.of_stack(folder, {}) == []

    def test_processes_of_another_stack_are_left_alone(self, folder, tmp_path):
        self._start(folder, "sleep", "60")
        assert processes.of_stack(tmp_path / "other", {}) == []

    def test_a_server_that_wiped_its_environment_is_found_by_its_session_with_its_children(self, folder):
        command = ("env", "-i", "sh", "-c", "/bin/sleep 60 & /bin/sleep 60")
        pid, started = self._start(folder, *command)
        assert wait_for(lambda: len(processes.of_stack(folder, {pid: started})) == 3, 120)
        assert processes.end(processes.of_stack(folder, {pid: started}), 10) == 3
        assert processes.of_stack(folder, {pid: started}) == []

    def test_a_process_that_does_not_want_to_end_is_killed(self, folder):
        pid, started = self._start(folder, "sh", "-c", "trap '' TERM; echo on; while :; do sleep 60; done")
        assert wait_for(lambda: (folder / "log").read_text() == "on\n", 120)
        processes.end(processes.of_stack(folder, {}), 0.1)
        assert not processes.alive(pid, started)

    def test_a_pid_that_was_given_to_another_process_is_not_alive(self, folder):
        pid, started = self._start(folder, "sleep", "60")
        assert not processes.alive(pid, started - 3600)

    def test_a_process_that_ended_is_not_alive(self):
        ended = subprocess.Popen(["true"])
        ended.wait()
        assert not processes.alive(ended.pid, 0)

    def test_a_server_that_ends_at_once_is_just_not_alive(self, folder):
        pid = processes.start(["true"], {}, folder / "log", folder).pid
        assert wait_for(lambda: not processes.alive(pid, processes.started_at(pid)), 120)

    def test_what_a_process_says_is_added_to_its_log(self, folder):
        (folder / "log").write_text("before\n")
        self._start(folder, "sh", "-c", "echo out; echo err >&2")
        assert wait_for(lambda: (folder / "log").read_text() == "before\nout\nerr\n", 120)


_BEAT = datetime(2026, 11, 30, 8, 0, 5, tzinfo=UTC).timestamp()
_HEALTHY = {"status": "healthy", "latest_scheduler_heartbeat": "2026-11-30T08:00:05.000000+00:00"}


class _Health(http.server.BaseHTTPRequestHandler):
    """Answers as Airflow's health page does, and refuses everything else."""

    def do_GET(self):
        health = {"scheduler": _HEALTHY, "dag_processor": {"status": "unhealthy"}, "triggerer": None}
        self.send_response(200 if self.path == "/health" else 403)
        self.end_headers()
        self.wfile.write(json.dumps(health).encode() if self.path == "/health" else b"<html>")

    def log_message(self, *words):
        """Say nothing."""


class TestWaiting:
    @pytest.fixture
    def server(self):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Health) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    def test_a_server_that_refuses_is_there(self, server):
        assert answers(f"{server}/anything")

    def test_a_port_where_nobody_listens_does_not_answer(self):
        assert not answers("http://127.0.0.1:1")

    @pytest.mark.parametrize(
        ("part", "healthy"), [("scheduler", True), ("dag-processor", False), ("triggerer", False), ("unknown", False)]
    )
    def test_a_part_is_up_when_the_health_page_says_so(self, server, part, healthy):
        assert heartbeat(f"{server}/health", part) is healthy

    def test_a_heartbeat_of_the_process_before_is_not_the_new_ones(self, server):
        assert heartbeat(f"{server}/health", "scheduler", since=_BEAT - 1)
        assert not heartbeat(f"{server}/health", "scheduler", since=_BEAT + 1)

    def test_a_page_that_is_no_health_page_says_of_nobody_that_they_are_up(self, server):
        assert not heartbeat(f"{server}/anything", "scheduler")

    def test_a_condition_that_holds_is_not_waited_for(self):
        assert wait_for(lambda: True, 0)

    def test_a_wait_has_a_limit(self):
        assert not wait_for(lambda: False, 0)
