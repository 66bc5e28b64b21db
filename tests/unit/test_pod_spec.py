"""The training pod, compared whole with the files in tests/golden (TRAINYARD_WRITE_GOLDEN=1 writes them again)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from pod_samples import FFDL, GIB, SMALL, expanded, shown

from trainyard.cluster.environment import LAUNCHER, escaped, learner_text
from trainyard.cluster.labels import MODEL_ID, TRAINING_ID, run_of, run_selector
from trainyard.cluster.run import pod_options
from trainyard.cluster.spec import PodRun, WorkspaceVolume, training_pod
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("name", "run"), [("small-gpu-claim", SMALL), ("ffdl-cpu-folder", FFDL)])
def test_the_whole_pod_is_as_recorded(name: str, run: PodRun) -> None:
    path = GOLDEN / f"pod-{name}.yaml"
    pod = shown(training_pod(run))
    if os.environ.get("TRAINYARD_WRITE_GOLDEN"):
        path.write_text(yaml.safe_dump(pod, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    assert pod == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_claim_and_a_folder_differ_in_the_volume_alone() -> None:
    claim, folder = training_pod(SMALL), training_pod(replace(SMALL, volume=WorkspaceVolume(folder="/srv/workspace")))
    assert claim["spec"]["volumes"].pop(0) == {
        "name": "workspace",
        "persistentVolumeClaim": {"claimName": "trainyard-workspace"},
    }
    assert folder["spec"]["volumes"].pop(0) == {
        "name": "workspace",
        "hostPath": {"path": "/srv/workspace", "type": "Directory"},
    }
    assert claim == folder


def test_a_command_whose_pipelines_suit_it_gets_pipefail() -> None:
    piped = replace(SMALL, spec=replace(SMALL.spec, command="python3 train.py | tee $RESULT_DIR/log"))
    assert training_pod(piped)["spec"]["containers"][0]["command"][5:] == ["learner", "pipefail"]


def test_the_wrapper_is_passed_whole_and_started_by_the_launcher() -> None:
    command = training_pod(SMALL)["spec"]["containers"][0]["command"]
    assert command[:2] == ["sh", "-c"]
    assert [expanded(text, {}) for text in command[2:]] == [LAUNCHER, "learner", learner_text(), "learner"]


def test_a_program_learns_a_user_name_although_no_image_knows_the_pods_user() -> None:
    env = {variable["name"]: variable["value"] for variable in training_pod(SMALL)["spec"]["containers"][0]["env"]}
    unknown = "import getpass, os\nif os.getuid() == 0: os.setuid(54321)\nprint(getpass.getuser())"
    shown = subprocess.run([sys.executable, "-c", unknown], env=env, capture_output=True, text=True, check=True).stdout
    assert shown == "trainyard\n"


def test_a_trial_finds_its_number_as_the_sub_run_that_it_is() -> None:
    subids = [
        {each["name"]: each["value"] for each in training_pod(run)["spec"]["containers"][0]["env"]}["SUBID"]
        for run in (SMALL, replace(SMALL, trial=0), replace(SMALL, trial=12))
    ]
    assert subids == ["learner-1", "0", "12"]


def test_a_second_attempt_has_a_name_of_its_own_and_is_found_with_the_first() -> None:
    first, second = training_pod(SMALL), training_pod(replace(SMALL, attempt=2))
    assert first["metadata"]["name"] != second["metadata"]["name"]
    wanted = dict(pair.split("=") for pair in run_selector(SMALL.key).split(","))
    assert all(wanted.items() <= pod["metadata"]["labels"].items() for pod in (first, second))


def test_model_ids_that_differ_in_case_alone_have_pods_of_different_names() -> None:
    names = {
        training_pod(replace(SMALL, key=RunKey(SMALL.key.training_id, f"training-{tail}")))["metadata"]["name"]
        for tail in ("aaaaaaaaa", "AAAAAAAAA")
    }
    assert len(names) == 2


def test_runs_of_two_trainings_with_one_id_have_pods_of_different_names_that_are_found_apart() -> None:
    theirs = replace(SMALL, key=RunKey("training-aB3dE5gH7", SMALL.key.model_id))
    mine, other = training_pod(SMALL)["metadata"], training_pod(theirs)["metadata"]
    assert mine["name"] != other["name"]
    wanted = dict(pair.split("=") for pair in run_selector(SMALL.key).split(","))
    assert wanted.items() <= mine["labels"].items()
    assert not wanted.items() <= other["labels"].items()
    assert (run_of(mine["labels"]), run_of(other["labels"])) == (SMALL.key, theirs.key)


@pytest.mark.parametrize("missing", [MODEL_ID, TRAINING_ID])
def test_a_pod_without_one_of_the_labels_is_no_runs(missing: str) -> None:
    labels = training_pod(SMALL)["metadata"]["labels"]
    assert run_of({key: value for key, value in labels.items() if key != missing}) is None


def test_a_run_without_gpus_neither_asks_for_nor_sees_any() -> None:
    container = training_pod(FFDL)["spec"]["containers"][0]
    assert "nvidia.com/gpu" not in str(container["resources"])
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]


def test_gpus_are_the_device_plugins_to_show() -> None:
    container = training_pod(SMALL)["spec"]["containers"][0]
    assert (
        container["resources"]["requests"]["nvidia.com/gpu"]
        == container["resources"]["limits"]["nvidia.com/gpu"]
        == "1"
    )
    assert "NVIDIA_VISIBLE_DEVICES" not in [variable["name"] for variable in container["env"]]


def test_the_program_may_do_nothing_to_its_node() -> None:
    spec = training_pod(SMALL)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["automountServiceAccountToken"] is False
    assert not any(spec[key] for key in ("hostNetwork", "hostPID", "hostIPC"))
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_program_writes_only_where_its_amount_is_bounded() -> None:
    run = replace(SMALL, scratch=7 * GIB)
    spec = training_pod(run)["spec"]
    container = spec["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["ephemeral-storage"] == "7Gi"
    assert all(volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"] if "emptyDir" in volume)
    paths = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert {"/tmp", "/var/tmp", "/job/home", "/dev/shm", "/job/result", "/job/checkpoints"} <= paths


def test_the_root_can_be_left_writable_for_nodes_that_cannot_do_without() -> None:
    container = training_pod(replace(SMALL, read_only_root=False))["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is False


def test_little_of_the_scratch_space_is_reserved_and_never_more_than_there_may_be() -> None:
    def requested(scratch: int) -> str:
        run = replace(SMALL, scratch=scratch)
        return training_pod(run)["spec"]["containers"][0]["resources"]["requests"]["ephemeral-storage"]

    assert [requested(size * GIB // 2) for size in (1, 4, 2000)] == ["512Mi", "1Gi", "1Gi"]


def test_a_program_may_take_four_times_its_cpus_while_they_are_free() -> None:
    resources = training_pod(SMALL)["spec"]["containers"][0]["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["cpu"]) == ("4", "16")


def test_a_pod_names_its_accounts_priority_class_where_the_cluster_counts_quotas() -> None:
    assert "priorityClassName" not in training_pod(SMALL)["spec"]
    assert (
        training_pod(replace(SMALL, priority_class="trainyard-vision"))["spec"]["priorityClassName"]
        == "trainyard-vision"
    )


def test_of_the_workspace_only_the_runs_own_folders_are_seen_and_data_cannot_be_written() -> None:
    mounts = training_pod(SMALL)["spec"]["containers"][0]["volumeMounts"]
    workspace = {mount["mountPath"]: mount for mount in mounts if mount["name"] == "workspace"}
    assert all(mount["subPath"] for mount in workspace.values())
    assert [path for path, mount in workspace.items() if mount.get("readOnly")] == ["/job/data"]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("registry.example:5000/a/net:1.2", "IfNotPresent"),
        ("net:1.2-py3", "IfNotPresent"),
        ("registry.example:5000/a/net", "Always"),
        ("net", "Always"),
        ("net:latest", "Always"),
        ("registry.example:5000/net@sha256:" + "0" * 64, "IfNotPresent"),
        ("net:latest@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_only_an_image_that_may_have_changed_is_pulled_again(image: str, policy: str) -> None:
    run = replace(SMALL, plan=replace(SMALL.plan, image=image))
    assert training_pod(run)["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_the_settings_decide_what_a_pod_may() -> None:
    environ = {
        "TRAINYARD_POD_SCRATCH_BYTES": "7GiB",
        "TRAINYARD_POD_LOG_BYTES": "2MiB",
        "TRAINYARD_POD_READ_ONLY_ROOT": "false",
        "TRAINYARD_POD_PRIORITY_PREFIX": "yard-",
        "TRAINYARD_POD_USER": "1234",
    }
    run = replace(SMALL, **pod_options(read_settings(environ), "vision"))
    assert (run.scratch, run.log_bytes, run.read_only_root) == (7 * GIB, 2 * 1024**2, False)
    assert (run.priority_class, run.user, run.group, run.grace_seconds) == ("yard-vision", 1234, 0, 30)


def test_the_shipped_settings_are_the_pods_own() -> None:
    assert replace(SMALL, **pod_options(read_settings({}), "vision")) == SMALL


@pytest.mark.parametrize(
    ("setting", "value"),
    [("POD_SCRATCH_BYTES", "0"), ("POD_LOG_BYTES", "many"), ("POD_READ_ONLY_ROOT", "perhaps")],
)
def test_a_setting_that_would_leave_a_pod_without_bounds_is_refused(setting: str, value: str) -> None:
    with pytest.raises(TrainyardError, match=f"TRAINYARD_{setting}"):
        read_settings({f"TRAINYARD_{setting}": value})


@pytest.mark.parametrize(
    ("setting", "volume"),
    [
        ("claim:work", WorkspaceVolume(claim="work")),
        ("/srv/workspace", WorkspaceVolume(folder="/srv/workspace")),
        ("", WorkspaceVolume(folder="/home/me/workspace")),
    ],
)
def test_the_workspace_volume_is_read_from_its_setting(setting: str, volume: WorkspaceVolume) -> None:
    assert WorkspaceVolume.of(setting, "/home/me/workspace") == volume


def test_a_workspace_that_no_node_could_find_is_refused() -> None:
    with pytest.raises(TrainyardError, match="relative") as caught:
        WorkspaceVolume.of("", ".trainyard/workspace")
    assert "TRAINYARD_WORKSPACE_VOLUME" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "python train.py --data ${DATA_DIR} --out $RESULT_DIR",
        "echo $(TRAINING_ID) $(date) $$(TRAINING_ID) $$$(TRAINING_ID)",
        "kill $$; echo $$$ $$$$ $",
        "echo $é $日 ${é}",
        "$(",
        "$(unclosed $",
        "",
    ],
)
def test_kubernetes_expansion_gives_a_command_back_unchanged(text: str) -> None:
    assert expanded(escaped(text), {"TRAINING_ID": "replaced", "DATA_DIR": "replaced"}) == text


def test_common_commands_stay_readable_in_the_pod() -> None:
    assert escaped("python3 a.py ${DATA_DIR}/x $RESULT_DIR") == "python3 a.py ${DATA_DIR}/x $RESULT_DIR"
