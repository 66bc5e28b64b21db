"""What the local cluster tells a container: its texts, environment and status; and processes it looks after."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from localkube import processes
from localkube.containerspec import expand, gpu_environment, rewriter
from localkube.listing import age, pod_word
from localkube.mounts import Mount
from localkube.podstatus import ContainerRecord, final_phase, update_status
from localkube.values import seconds


class TestRewriting:
    REWRITE = staticmethod(
        rewriter(
            [
                Mount(source="/host/job", target="/job", readOnly=False),
                Mount(source="/host/data", target="/job/data", readOnly=True),
            ]
        )
    )

    @pytest.mark.parametrize(
        ("text", "rewritten"),
        [
            ("/job", "/host/job"),
            ("/job/x", "/host/job/x"),
            ("/job/data/x", "/host/data/x"),
            ("cat '/job/a' >/job/b;ls /job", "cat '/host/job/a' >/host/job/b;ls /host/job"),
            ("A=/job:/job/data", "A=/host/job:/host/data"),
            ("/jobs /my/job /job-2 job", "/jobs /my/job /job-2 job"),
        ],
    )
    def test_mount_paths_and_nothing_else_are_replaced(self, text, rewritten):
        assert self.REWRITE(text) == rewritten


class TestExpansion:
    @pytest.mark.parametrize(
        ("text", "expanded"),
        [("$(A)", "1"), ("x$(A)y$(A)", "x1y1"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$()", "$()")],
    )
    def test_known_names_are_replaced(self, text, expanded):
        assert expand(text, {"A": "1"}) == expanded


class TestGpus:
    def test_containers_get_disjoint_gpus(self):
        def container(name: str, gpus: int) -> dict:
            return {"name": name, "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}

        pod = {
            "metadata": {"annotations": {"localkube/gpus": "3,5,7"}},
            "spec": {"containers": [container("a", 1), container("b", 2)]},
        }
        seen = [gpu_environment(pod, each)["CUDA_VISIBLE_DEVICES"] for each in pod["spec"]["containers"]]
        assert seen == ["3", "5,7"]


class TestStatus:
    POD = staticmethod(
        lambda: {
            "metadata": {"uid": "u", "name": "p"},
            "spec": {"containers": [{"name": "a", "image": "i"}]},
            "status": {"phase": "Pending"},
        }
    )
    STARTED = {"pid": 1, "startedAt": "2026-01-01T00:00:00.5Z"}  # noqa: RUF012

    def test_a_container_waits_then_runs_then_has_ended(self):
        pod = self.POD()
        end = {"exitCode": 3, "reason": "Error", "message": "", "finishedAt": "2026-01-01T00:00:09.5Z"}
        states = []
        for record in ({}, {"a": ContainerRecord(self.STARTED)}, {"a": ContainerRecord(self.STARTED, end, "why")}):
            update_status(pod, record)
            states.append(pod["status"]["containerStatuses"][0])
        assert [next(iter(state["state"])) for state in states] == ["waiting", "running", "terminated"]
        assert [state["ready"] for state in states] == [False, True, False]
        ended = states[2]["state"]["terminated"]
        assert (ended["exitCode"], ended["message"], ended["finishedAt"]) == (3, "why", "2026-01-01T00:00:09Z")

    def test_a_pod_succeeds_if_all_its_containers_do(self):
        def ended(code: int) -> ContainerRecord:
            return ContainerRecord(exited={"exitCode": code, "reason": "", "finishedAt": ""})

        pod = {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
        assert final_phase(pod, {"a": ended(0), "b": ended(0)}) == "Succeeded"
        assert final_phase(pod, {"a": ended(0), "b": ended(1)}) == "Failed"
        assert final_phase(pod, {"a": ended(0)}) == "Failed"

    def test_the_one_word_of_a_pod_is_what_matters_most(self):
        pod = self.POD()
        assert pod_word(pod) == "Pending"
        update_status(pod, {})
        assert pod_word(pod) == "ContainerCreating"
        pod["status"]["reason"] = "DeadlineExceeded"
        assert pod_word(pod) == "DeadlineExceeded"
        pod["metadata"]["deletionTimestamp"] = "x"
        assert pod_word(pod) == "Terminating"

    def test_an_age_is_written_short(self):
        import time

        ages = [age(seconds(time.time() - ago)) for ago in (5, 200, 1800, 7200 * 2, 86400 * 5)]
        assert ages == ["5s", "3m", "30m", "4h", "5d"]


class TestProcesses:
    def test_a_process_has_an_identity_until_it_ends(self):
        child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
        known = processes.identity(child.pid)
        assert known is not None
        assert processes.is_same(child.pid, known)
        assert not processes.is_same(os.getpid(), known)
        child.communicate(b"\n")
        assert processes.identity(child.pid) is None

    def test_descendants_and_marks_are_found(self):
        mark = {"LOCALKUBE_TEST_MARK": str(os.getpid())}
        command = ["sh", "-c", "sleep 100 & echo; wait"]
        child = subprocess.Popen(command, env={**os.environ, **mark}, stdout=subprocess.PIPE)
        child.stdout.readline()
        below = processes.descendants(child.pid)
        assert len(below) == 1
        assert set(processes.marked(*next(iter(mark.items())))) == {child.pid, *below}
        assert processes.memory([child.pid, *below], limit=1 << 40) > 0
        assert processes.kill_all(lambda: [pid for pid in below if processes.identity(pid)]) == 1
        child.wait()
        child.stdout.close()
