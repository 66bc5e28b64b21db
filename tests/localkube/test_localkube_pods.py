"""The life of pods on the local cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client.rest import ApiException
from localkubeserver import ClusterServer, pod, running_cluster, wait_for

pytestmark = pytest.mark.xdist_group("localkube pods")  # one worker makes what its tests share

PYTHON = ("python3", "-S", "-u", "-c")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    folder = tmp_path_factory.mktemp("cluster") / "it"
    images = ("--missing-images", "*/nowhere/*", "--image-variable", "UNRUN_IMAGE", "--provides", "the/image:1")
    with running_cluster(folder, "--gpus", "0", "--env", "GIVEN=to=all", *images) as server:
        yield server


def living(word: str) -> list[str]:
    """Return the pids of processes whose command line holds a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


class TestEnds:
    def test_a_program_that_ends_well_makes_the_pod_succeed(self, cluster):
        cluster.run("well", "true")
        end = cluster.ended("well")
        assert (end.exit_code, end.reason) == (0, "Completed")
        assert cluster.pod("well").status.phase == "Succeeded"

    def test_a_program_that_fails_makes_the_pod_fail_with_its_own_exit_code(self, cluster):
        cluster.run("ill", "sh", "-c", "exit 7")
        end = cluster.ended("ill")
        assert (end.exit_code, end.reason, cluster.pod("ill").status.phase) == (7, "Error", "Failed")

    def test_an_end_by_a_signal_is_128_and_its_number(self, cluster):
        cluster.run("signalled", *PYTHON, "import os; os.kill(os.getpid(), 10)")
        assert cluster.ended("signalled").exit_code == 128 + 10

    def test_a_program_that_is_not_there_is_a_start_error(self, cluster):
        cluster.run("absent", "no-such-program")
        end = cluster.ended("absent")
        assert (end.exit_code, end.reason) == (128, "StartError")
        assert 'exec: "no-such-program": executable file not found in $PATH' in end.message
        assert "Failed" in cluster.reasons("absent")

    def test_running_is_seen_soon_and_so_is_the_end(self, cluster, tmp_path):
        created = time.monotonic()
        gate = tmp_path / "gate"
        cluster.run("quick", "sh", "-c", f"until [ -e {gate} ]; do sleep 0.02; done")
        cluster.until("quick", "Running")
        gate.touch()
        cluster.until("quick", "Succeeded")
        assert time.monotonic() - created < 60  # 0.2 s alone; the machine may be busy

    def test_no_process_of_a_pod_outlives_it(self, cluster):
        script = "(setsid sleep 54321 &) ; (setsid sh -c 'sleep 54321 & sleep 54321' &) ; sleep 54321 & exit 0"
        cluster.run("strays", "sh", "-c", script)
        cluster.until("strays", "Succeeded")
        assert living("54321") == []

    def test_a_deadline_ends_the_pod_and_says_so(self, cluster):
        cluster.run("late", "sleep", "1000", spec={"activeDeadlineSeconds": 1})
        cluster.until("late", "Failed")
        status = cluster.pod("late").status
        assert status.reason == "DeadlineExceeded"
        assert status.container_statuses[0].state.terminated.exit_code == 143


class TestMemory:
    def test_too_much_memory_kills_with_the_word_oomkilled(self, cluster):
        hog = "x = []\nwhile True: x.append(bytearray(1 << 20))"
        cluster.run("hog", *PYTHON, hog, container={"resources": {"limits": {"memory": "100Mi"}}})
        end = cluster.ended("hog")
        assert (end.exit_code, end.reason) == (137, "OOMKilled")

    def test_memory_of_children_in_sessions_of_their_own_counts(self, cluster):
        child = "import time; x = bytearray(150 << 20); time.sleep(1000)"
        script = f"(setsid python3 -S -c '{child}' &); sleep 1000"
        cluster.run("hidden-hog", "sh", "-c", script, container={"resources": {"limits": {"memory": "100Mi"}}})
        assert cluster.ended("hidden-hog").reason == "OOMKilled"
        assert living("bytearray(150") == []

    def test_memory_that_forked_children_share_counts_once(self, cluster):
        script = "import os, time\nx = bytes(80 << 20)\nx.count(b'1')\n[os.fork() or time.sleep(2) for _ in range(2)]"
        cluster.run("sharer", *PYTHON, script, container={"resources": {"limits": {"memory": "200Mi"}}})
        assert cluster.ended("sharer").reason == "Completed"


class TestDeletion:
    def test_a_deleted_pod_gets_sigterm_and_shows_its_end_before_it_goes(self, cluster):
        trap = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(3))\nprint('up')\ntime.sleep(1000)"
        cluster.run("trapping", *PYTHON, trap)
        wait_for(lambda: cluster.pod("trapping").status.phase == "Running" and "up" in cluster.log("trapping"))
        cluster.delete("trapping")
        assert cluster.ended("trapping").exit_code == 3
        wait_for(lambda: cluster.pod("trapping") is None, "the pod's removal")
        assert living("'up'") == []

    def test_what_ignores_sigterm_is_killed_after_the_grace(self, cluster):
        cluster.run("deaf", "sh", "-c", "trap '' TERM; echo up; while true; do sleep 0.1; done")
        wait_for(lambda: cluster.pod("deaf").status.phase == "Running" and "up" in cluster.log("deaf"))
        cluster.delete("deaf", grace=1)
        assert cluster.ended("deaf").exit_code == 137

    def test_a_second_deletion_may_shorten_the_grace(self, cluster):
        cluster.run("stubborn", "sh", "-c", "trap '' TERM; echo up; while true; do sleep 0.1; done")
        wait_for(lambda: cluster.pod("stubborn").status.phase == "Running" and "up" in cluster.log("stubborn"))
        cluster.delete("stubborn", grace=1000)
        assert cluster.pod("stubborn").metadata.deletion_grace_period_seconds == 1000
        cluster.delete("stubborn", grace=0)
        wait_for(lambda: cluster.pod("stubborn") is None, "the pod's removal")

    def test_a_finished_pod_goes_at_once_and_its_files_with_it(self, cluster):
        uid = cluster.run("brief", "true").metadata.uid
        cluster.until("brief", "Succeeded")
        assert (cluster.folder / "pods" / uid).exists()
        cluster.delete("brief")
        assert cluster.pod("brief") is None
        wait_for(lambda: not (cluster.folder / "pods" / uid).exists(), "the removal of the pod's files")


class TestImages:
    def test_an_image_that_cannot_be_pulled_backs_off(self, cluster):
        cluster.run("unpulled", "true", container={"image": "any/nowhere/image:1"})
        cluster.waiting("unpulled", "ErrImagePull")
        state = cluster.waiting("unpulled", "ImagePullBackOff")
        assert "any/nowhere/image:1" in state.message
        assert {"Pulling", "Failed", "BackOff"} <= set(cluster.reasons("unpulled"))
        assert cluster.pod("unpulled").status.phase == "Pending"

    def test_the_tag_missing_is_of_an_image_that_is_not_there(self, cluster):
        cluster.run("tagged", "true", container={"image": "image:missing"})
        cluster.waiting("tagged", "ErrImagePull")
        cluster.delete("tagged", grace=0)
        wait_for(lambda: cluster.pod("tagged") is None)

    def test_a_name_that_is_no_image_reference_is_told_from_a_missing_image(self, cluster):
        cluster.run("misnamed", "true", container={"image": "UPPER/Case::"})
        assert "couldn't parse image name" in cluster.waiting("misnamed", "InvalidImageName").message


class TestEnvironment:
    def test_a_container_has_its_own_environment_and_not_the_servers(self, cluster):
        env = [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)2 $(NONE) $$(A)"},
        ]
        dump = "import json, os; print(json.dumps(dict(os.environ)))"
        cluster.run("env", *PYTHON, dump, container={"env": env, "args": ["$(B)"]})
        cluster.until("env", "Succeeded")
        seen = json.loads(cluster.log("env"))
        assert (seen["A"], seen["B"], seen["GIVEN"]) == ("1", "12 $(NONE) $(A)", "to=all")
        known = {"A", "B", "GIVEN", "PATH", "HOME", "LANG", "HOSTNAME", "CUDA_VISIBLE_DEVICES"}
        assert set(seen) - known <= {"LOCALKUBE_CONTAINER", "UNRUN_IMAGE", "VIRTUAL_ENV", "LC_CTYPE"}

    def test_a_pods_own_value_comes_before_the_clusters(self, cluster):
        cluster.run("own", "sh", "-c", "echo $GIVEN", container={"env": [{"name": "GIVEN", "value": "mine"}]})
        cluster.until("own", "Succeeded")
        assert cluster.log("own") == "mine\n"

    def test_an_image_that_is_not_run_is_named_to_its_container(self, cluster):
        for name, image in (("unrun", "any/image:1"), ("provided", "the/image:1")):
            cluster.run(name, "sh", "-c", "echo ${UNRUN_IMAGE:-none}", container={"image": image})
            cluster.until(name, "Succeeded")
        assert (cluster.log("unrun"), cluster.log("provided")) == ("any/image:1\n", "none\n")

    def test_without_another_python_python3_is_the_machines_and_not_the_clusters_own(self, cluster):
        cluster.run("learner", "sh", "-c", "python3 -c 'import json, starlette' || echo none; python3 -c 'print(1)'")
        cluster.until("learner", "Succeeded", "Failed")
        assert cluster.log("learner").split()[-2:] == ["none", "1"]


class TestLastWords:
    def test_the_termination_message_is_what_the_program_wrote(self, cluster):
        cluster.run("speaking", "sh", "-c", "echo the reason > /dev/termination-log; exit 1")
        assert cluster.ended("speaking").message == "the reason\n"

    def test_another_path_may_be_named_for_it(self, cluster):
        more = {"terminationMessagePath": "/last/words"}
        cluster.run("elsewhere", "sh", "-c", "echo there > /last/words", container=more)
        assert cluster.ended("elsewhere").message == "there\n"

    def test_the_logs_end_stands_in_for_it_after_an_error_if_asked(self, cluster):
        more = {"terminationMessagePolicy": "FallbackToLogsOnError"}
        cluster.run("falling-back", "sh", "-c", "seq 200; exit 1", container=more)
        assert cluster.ended("falling-back").message.split() == [str(n) for n in range(121, 201)]


def test_a_pod_in_a_namespace_that_is_not_there_is_refused(cluster):
    with pytest.raises(ApiException, match='namespaces \\\\"other\\\\" not found'):
        cluster.core.create_namespaced_pod("other", pod("lost", "true"))
