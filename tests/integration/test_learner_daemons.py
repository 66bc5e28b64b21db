"""The wrapper as the first process of a container of the local cluster: what it reaches beyond its own descendants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from localkubeserver import ClusterServer, running_cluster, wait_for

from trainyard.cluster.environment import LAUNCHER, learner_text

pytestmark = pytest.mark.xdist_group("learner daemons")  # one worker makes what its tests share

# A daemon: its parent has ended, and session and group are its own.
DAEMON = "(setsid sh worker.sh >/dev/null 2>&1 &); "
WORKER = "trap 'sleep 0.3; echo saved >saved; exit 0' TERM\necho >ready\nwhile :; do sleep 0.05; done\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "it", "--gpus", "0") as server:
        yield server


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name in ("model", "logs", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "model" / "worker.sh").write_text(WORKER)
    return tmp_path / "model"


def train(cluster: ClusterServer, name: str, model: Path, command: str) -> None:
    folders = {"MODEL_DIR": "model", "LOG_DIR": "logs", "JOB_STATE_DIR": "state"}
    env = {**{key: f"/job/{value}" for key, value in folders.items()}, "LEARNER_ID": "1", "TRAINING_COMMAND": command}
    container = {
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "volumeMounts": [{"name": "job", "mountPath": "/job"}],
        "terminationMessagePath": "/dev/termination-log",
    }
    spec = {"volumes": [{"name": "job", "hostPath": {"path": str(model.parent)}}]}
    words = ("sh", "-c", LAUNCHER, "learner", learner_text().replace("$$", "$$$$"), "learner")
    cluster.run(name, *words, container=container, spec=spec)


def test_a_daemon_of_the_program_gets_sigterm_and_the_grace_period(cluster: ClusterServer, model: Path) -> None:
    train(cluster, "daemon", model, DAEMON + "sleep 600")
    wait_for((model / "ready").exists, "the daemon")
    cluster.delete("daemon", grace=20)
    wait_for(lambda: cluster.pod("daemon") is None, "the end of the pod")
    assert (model / "saved").read_text() == "saved\n"


def test_a_daemon_that_the_commands_end_cuts_off_is_named(cluster: ClusterServer, model: Path) -> None:
    train(cluster, "left", model, DAEMON + "until [ -e ready ]; do sleep 0.05; done; echo done")
    ended = cluster.ended("left")
    assert ended.exit_code == 0
    assert "the command ended before" in ended.message
    assert "of its processes (sh worker.sh" in ended.message
    assert (model / "saved").read_text() == "saved\n"
