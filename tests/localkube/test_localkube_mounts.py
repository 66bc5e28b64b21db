"""What containers of the local cluster see of their volumes, in each kind of isolation that this machine allows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from localkubeserver import ClusterServer, running_cluster, wait_for

from localkube.errors import LocalkubeError
from localkube.machine import choose_isolation
from localkube.mounts import MOUNTS, PATHS, USER_MOUNTS

pytestmark = pytest.mark.xdist_group("localkube mounts")  # one worker makes what its tests share


def allowed(isolation: str, folder: Path) -> bool:
    try:
        return choose_isolation(isolation, folder) == isolation
    except LocalkubeError:
        return False


@pytest.fixture(scope="module", params=[MOUNTS, USER_MOUNTS, PATHS])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServer]:
    folder = tmp_path_factory.mktemp("cluster")
    if not allowed(request.param, folder):
        pytest.skip(f"this machine does not allow {request.param}")
    claim = tmp_path_factory.mktemp("claim")
    options = ("--gpus", "0", "--isolation", request.param, "--claim", f"default/elsewhere={claim}")
    with running_cluster(folder / "it", *options) as server:
        server.isolation, server.claim = request.param, claim
        yield server


def output(cluster: ClusterServer, name: str, script: str, mounts: list[dict], volumes: list[dict]) -> str:
    """Run a shell script with mounts and return what it printed."""
    spec = {"volumes": volumes}
    cluster.run(name, "sh", "-c", script, container={"volumeMounts": mounts}, spec=spec)
    found = cluster.until(name, "Succeeded", "Failed")
    log = cluster.log(name)
    assert found.status.phase == "Succeeded", (log, found.status.container_statuses)
    return log


def test_a_mount_path_that_the_machine_lacks_is_there_for_the_container_alone(cluster, tmp_path):
    (tmp_path / "in").write_text("seen")
    mounts = [{"name": "v", "mountPath": "/localkube-test/deep/job"}]
    script = "cat /localkube-test/deep/job/in; echo written > /localkube-test/deep/job/out"
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    assert output(cluster, "hosted", script, mounts, volumes) == "seen"
    assert (tmp_path / "out").read_text() == "written\n"
    assert not Path("/localkube-test").exists()


def test_a_program_that_names_a_mount_path_itself_finds_it_in_a_namespace(cluster, tmp_path):
    if cluster.isolation == PATHS:
        pytest.skip("paths in a program's own text are not rewritten")
    (tmp_path / "program.py").write_text("print(len(open('/localkube-test/program.py').readlines()))")
    mounts = [{"name": "v", "mountPath": "/localkube-test"}]
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    assert output(cluster, "literal", "python3 -S /localkube-test/program.py", mounts, volumes) == "1\n"


def test_a_read_only_mount_is_read_only_even_for_root(cluster, tmp_path):
    if cluster.isolation == PATHS:
        pytest.skip("without a namespace nothing holds a program back")
    mounts = [
        {"name": "v", "mountPath": "/localkube-test/data", "readOnly": True},
        {"name": "v", "mountPath": "/localkube-test/free"},
    ]
    script = (
        "touch /localkube-test/data/x || mount -o remount,bind,rw /localkube-test/data || umount /localkube-test/data"
        " || touch /localkube-test/free/y && echo refused"
    )
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    # What goes to stdout and to stderr takes two ways into the log.
    assert "refused" in output(cluster, "guarded", script, mounts, volumes).splitlines()
    assert [path.name for path in tmp_path.iterdir()] == ["y"]


def test_a_sub_path_shows_its_folder_alone(cluster, tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "f").write_text("mine")
    mounts = [
        {"name": "v", "mountPath": "/job/model", "subPath": "runs/mine"},
        {"name": "v", "mountPath": "/job/result", "subPath": "runs/mine/new"},
    ]
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    script = "ls /job/model; echo r > /job/result/r"
    assert output(cluster, "subbed", script, mounts, volumes).split()[:1] == ["f"]
    assert (tmp_path / "runs/mine/new/r").read_text() == "r\n"


def test_a_claim_is_a_folder_of_the_cluster_or_the_one_it_was_told(cluster):
    mounts = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]
    claims = {"a": "somewhere", "b": "elsewhere"}
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claims.items()]
    output(cluster, "claiming", "echo 1 > /a/f; echo 2 > /b/f", mounts, volumes)
    assert (cluster.folder / "claims/default/somewhere/f").read_text() == "1\n"
    assert (cluster.claim / "f").read_text() == "2\n"


def test_a_folder_that_cannot_be_made_holds_the_pod_until_it_can(cluster, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    more = {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "blocked/deep"}]}
    cluster.run("blocked", "true", container=more, spec={"volumes": volumes})
    assert "a volume cannot be made" in cluster.waiting("blocked", "ContainerCreating").message
    blocked.unlink()
    cluster.until("blocked", "Succeeded")


def test_a_folder_that_is_missing_holds_the_pod_and_says_which(cluster, tmp_path):
    volumes = [{"name": "h", "hostPath": {"path": str(tmp_path / "none"), "type": "Directory"}}]
    more = {"volumeMounts": [{"name": "h", "mountPath": "/h"}]}
    cluster.run("unmounted", "true", container=more, spec={"volumes": volumes})
    assert f"{tmp_path}/none is not a Directory" in cluster.waiting("unmounted", "ContainerCreating").message
    assert "FailedMount" in cluster.reasons("unmounted")
    cluster.delete("unmounted", grace=0)


def test_containers_of_a_pod_share_its_empty_folders_in_memory_too(cluster):
    mount = {"volumeMounts": [{"name": "m", "mountPath": "/dev/shm"}, {"name": "d", "mountPath": "/scratch"}]}
    write = "echo m > /dev/shm/f; echo d > /scratch/f"
    read = "until [ -s /scratch/f ]; do sleep 0.05; done; cat /dev/shm/f /scratch/f"
    writer = {"name": "writer", "image": "i", "command": ["sh", "-c", write]}
    reader = {"name": "reader", "image": "i", "command": ["sh", "-c", read]}
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory"}}, {"name": "d", "emptyDir": {}}]
    spec = {"volumes": volumes, "containers": [{**writer, **mount}, {**reader, **mount}]}
    uid = cluster.run("sharing", spec=spec).metadata.uid
    cluster.until("sharing", "Succeeded", "Failed")
    assert cluster.log("sharing", container="reader") == "m\nd\n"
    assert not Path("/dev/shm/f").exists()
    cluster.delete("sharing")
    wait_for(lambda: not Path(f"/dev/shm/localkube-{uid}").exists(), "the removal of the pod's memory")


def test_the_working_folder_is_made_where_it_is_missing(cluster, tmp_path):
    mounts = [{"name": "v", "mountPath": "/job"}]
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    more = {"volumeMounts": mounts, "workingDir": "/job/model"}
    cluster.run("working", "sh", "-c", "echo here > f", container=more, spec={"volumes": volumes})
    cluster.until("working", "Succeeded")
    assert (tmp_path / "model/f").read_text() == "here\n"


def test_exec_sees_what_the_container_sees(cluster, tmp_path):
    mounts = [{"name": "v", "mountPath": "/localkube-test"}]
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    (tmp_path / "f").write_text("inside")
    cluster.run("entered", "sleep", "1000", container={"volumeMounts": mounts}, spec={"volumes": volumes})
    cluster.until("entered", "Running")
    done = cluster.kubectl("exec", "entered", "--", "cat", "/localkube-test/f")
    cluster.delete("entered", grace=0)
    assert done.stdout == "inside", done.stderr


def test_a_path_that_leads_out_of_its_volume_is_refused(cluster, tmp_path):
    (tmp_path / "out").symlink_to("/etc")
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    more = {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "out"}]}
    cluster.run("escaping", "true", container=more, spec={"volumes": volumes})
    assert "leads out of volume" in cluster.waiting("escaping", "ContainerCreating").message
    cluster.delete("escaping", grace=0)


def test_the_user_inside_is_the_user_outside(cluster):
    assert output(cluster, "whoami", "id -u", [], []) == f"{os.getuid()}\n"


def test_a_volume_over_the_folder_of_the_own_python_does_not_hide_it(cluster):
    mounts = [{"name": "v", "mountPath": str(Path(sys.prefix).parent)}]
    script = "python3 -c 'import sys, sysconfig; print(sys.prefix != sys.base_prefix)'"
    assert output(cluster, "python", script, mounts, [{"name": "v", "emptyDir": {}}]) == "True\n"


def test_the_environment_of_the_cluster_itself_can_be_read_and_not_written(cluster):
    if cluster.isolation == PATHS:
        pytest.skip("without a namespace nothing holds a program back")
    script = f"ls {sys.prefix}/pyvenv.cfg; touch {sys.prefix}/x 2>/dev/null || echo refused"
    assert output(cluster, "reading", script, [], []).splitlines() == [f"{sys.prefix}/pyvenv.cfg", "refused"]


@pytest.mark.parametrize("kind", [MOUNTS, USER_MOUNTS])
def test_a_hidden_folder_is_empty_but_for_the_containers_own_volumes(tmp_path, kind):
    if not allowed(kind, _made(tmp_path / "probe")):
        pytest.skip(f"this machine does not allow {kind}")
    stack = _made(tmp_path / "stack")
    (stack / "secrets.json").write_text("secret")
    for run in ("mine", "other"):
        _made(stack / "workspace" / run).joinpath("f").write_text(run)
    options = ("--gpus", "0", "--isolation", kind, "--hide", str(stack))
    volumes = [{"name": "v", "hostPath": {"path": str(stack / "workspace")}}]
    mounts = [{"name": "v", "mountPath": "/localkube-test", "subPath": "mine"}]
    looks = f"cat /localkube-test/f; echo; find {stack} -type f"
    script = f"{looks}; umount {stack}; cat {stack}/secrets.json || echo hidden"
    with running_cluster(stack / "cluster", *options) as server:
        seen = output(server, "hiding", script, mounts, volumes).splitlines()
        done = server.kubectl("get", "pod", "hiding", "-o", "jsonpath={.status.phase}")
    assert "secret" not in seen
    assert {"mine", "hidden"} <= set(seen)
    assert not [line for line in seen if line.startswith(str(stack / "workspace"))]
    assert done.stdout == "Succeeded"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
