"""kubectl with the local cluster: what a person does to see and end pods."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from localkubeserver import ClusterServer, pod, running_cluster, wait_for

pytestmark = pytest.mark.xdist_group("localkube kubectl")  # one worker makes what its tests share


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "1") as server:
        yield server


def manifest(name: str, *command: str, **more) -> str:
    return json.dumps(pod(name, *command, **more))


def test_a_pod_is_created_listed_described_followed_and_deleted(cluster):
    script = "for n in 1 2 3; do echo line $n; sleep 0.1; done; sleep 1000"
    created = cluster.kubectl("create", "-f", "-", input=manifest("whole", "sh", "-c", script, labels={"a": "b"}))
    assert created.stdout == "pod/whole created\n", created.stderr
    ready = cluster.kubectl("wait", "--for=condition=Ready", "pod/whole", "--timeout=120s")
    assert ready.stdout == "pod/whole condition met\n"
    listed = cluster.kubectl("get", "pods", "-l", "a=b", "-o", "wide").stdout.splitlines()
    assert listed[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert listed[1].split()[:4] == ["whole", "1/1", "Running", "0"]
    described = cluster.kubectl("describe", "pod", "whole").stdout
    for words in ("local/127.0.0.1", "Started container base"):
        assert words in described
    following = subprocess.Popen(
        ["kubectl", "logs", "-f", "whole"],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert [following.stdout.readline() for _ in range(3)] == ["line 1\n", "line 2\n", "line 3\n"]
    deleted = cluster.kubectl("delete", "pod", "whole")
    assert 'pod "whole" deleted' in deleted.stdout
    assert following.wait(120) == 0
    following.stdout.close()
    assert "NotFound" in cluster.kubectl("get", "pod", "whole").stderr


def test_apply_makes_a_pod_and_then_changes_its_labels(cluster):
    assert cluster.kubectl("apply", "-f", "-", input=manifest("applied", "sleep", "1000")).returncode == 0
    again = cluster.kubectl("apply", "-f", "-", input=manifest("applied", "sleep", "1000", labels={"new": "1"}))
    assert again.stdout == "pod/applied configured\n", again.stderr
    assert cluster.pod("applied").metadata.labels == {"new": "1"}
    cluster.kubectl("delete", "pod", "applied", "--force")


def test_a_field_of_the_wrong_type_is_told_and_nothing_is_made(cluster):
    reported = cluster.kubectl("create", "-f", "-", input=manifest("wrong", "true", container={"command": "true"}))
    assert "spec.containers[0].command" in reported.stderr
    assert cluster.pod("wrong") is None


def test_all_faults_are_told(cluster):
    reported = cluster.kubectl("create", "-f", "-", input=manifest("x", container={"image": "", "name": "B_"}))
    assert "spec.containers[0].name" in reported.stderr
    assert "spec.containers[0].image" in reported.stderr


def test_the_node_is_listed_and_described(cluster):
    assert cluster.kubectl("get", "nodes", "--no-headers").stdout.split()[:2] == ["local", "Ready"]
    described = cluster.kubectl("describe", "node", "local")
    assert "nvidia.com/gpu" in described.stdout, described.stderr


def test_commands_run_inside_with_input_output_and_exit_code(cluster):
    cluster.run("inside", "sleep", "1000", container={"env": [{"name": "WORD", "value": "own"}]})
    cluster.until("inside", "Running")
    assert cluster.kubectl("exec", "-i", "inside", "--", "cat", input="through\n").stdout == "through\n"
    done = cluster.kubectl("exec", "inside", "--", "sh", "-c", "echo $WORD; echo odd >&2; exit 3")
    assert (done.stdout, done.returncode) == ("own\n", 3)
    assert "odd" in done.stderr
    absent = cluster.kubectl("exec", "inside", "--", "no-such-program")
    assert (absent.returncode, "cannot run" in absent.stderr) == (126, True)
    cluster.delete("inside", grace=0)


def test_a_terminal_is_a_terminal(cluster):
    cluster.run("terminal", "sleep", "1000")
    cluster.until("terminal", "Running")
    command = ["kubectl", "exec", "-it", "terminal", "--", "sh", "-c", "tty; read x; echo got $x"]
    script = ["script", "-qec", " ".join([*command[:-1], f"'{command[-1]}'"]), "/dev/null"]
    done = subprocess.run(
        script,
        env=cluster.environment,
        input="typed\n",
        capture_output=True,
        text=True,
        timeout=240,
    )
    cluster.delete("terminal", grace=0)
    assert "/dev/pts/" in done.stdout
    assert "got typed" in done.stdout


def test_a_command_started_by_exec_ends_with_its_pod(cluster):
    cluster.run("host", "sleep", "1000")
    cluster.until("host", "Running")
    running = subprocess.Popen(
        ["kubectl", "exec", "host", "--", "sleep", "98765"],
        env=cluster.environment,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: _living("98765"), "the command's start")
    cluster.delete("host", grace=1)
    running.wait(120)
    assert not _living("98765")


def _living(word: str) -> list[Path]:
    """Return the processes named `sleep` with this argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == b"sleep\0" + word.encode() + b"\0":
                found.append(path)
        except OSError:
            continue
    return found


def test_events_are_listed(cluster):
    cluster.run("eventful", "true")
    cluster.until("eventful", "Succeeded")
    shown = cluster.kubectl("get", "events", "--field-selector", "involvedObject.name=eventful", "--no-headers").stdout
    assert [line.split()[2] for line in shown.splitlines()] == ["Scheduled", "Pulled", "Created", "Started"]


def test_a_node_is_emptied(cluster):
    cluster.run("drained", "sleep", "1000")
    cluster.until("drained", "Running")
    done = cluster.kubectl("drain", "local", "--force", "--pod-selector", "!no-such-label")
    assert "pod/drained evicted" in done.stdout, done.stderr
    assert cluster.pod("drained") is None
