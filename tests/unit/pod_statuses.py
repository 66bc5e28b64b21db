"""Pods as clusters report them, with the row of the table of endings that each is for."""

from __future__ import annotations

from typing import Any

GIB = 1024**3
SCHEDULED, BEGUN, FINISHED = "2026-03-01T10:00:00Z", "2026-03-01T10:00:30Z", "2026-03-01T11:00:30Z"
OVERDUE = 1772363730.0  # a quarter of an hour after the deletion below, in seconds since the epoch

MODEL_ID = "training-DOl4q2LkR"
Json = dict[str, Any]


def pod(phase: str, state: Json | None = None, **parts: Any) -> Json:
    """Build a pod as the API shows it: its phase, its container's state, and what else its status says."""
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": SCHEDULED}]
    if disruption := parts.pop("disruption", None):
        conditions.append(
            {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": disruption,
                "lastTransitionTime": "2026-03-01T10:30:00Z",
            }
        )
    labels = {"trainyard/framework": parts.pop("framework", "tensorflow"), "trainyard/model-id": MODEL_ID}
    image = parts.pop("image", "registry.example/tensorflow:2.20")
    metadata = {
        "name": "training-x-1",
        "labels": labels,
        **({"deletionTimestamp": FINISHED} if parts.pop("deleting", False) else {}),
    }
    containers = [{"name": "learner", "image": image, "state": state}] if state else []
    others = parts.pop("others", [])
    return {
        "metadata": metadata,
        "spec": {
            "activeDeadlineSeconds": 86400,
            "containers": [{"name": "learner", "image": image, "resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        },
        "status": {
            "phase": phase,
            "startTime": SCHEDULED,
            "conditions": conditions,
            "containerStatuses": [*others, *containers],
            **parts,
        },
    }


def over(exit_code: int, reason: str = "Error", message: str = "") -> Json:
    ends = {"exitCode": exit_code, "reason": reason, "startedAt": BEGUN, "finishedAt": FINISHED}
    return {"terminated": {**ends, **({"message": message} if message else {})}}


def waits(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


RUNNING = {"running": {"startedAt": BEGUN}}

# (row, pod, code, what the message says)
CASES: list[tuple[str, Json | None, str | None, str]] = [
    ("gone", None, "S102", "is gone"),
    ("success", pod("Succeeded", over(0, "Completed")), None, ""),
    ("success", pod("Running", over(0, "Completed")), None, ""),
    ("success", pod("Succeeded"), None, ""),
    (
        "deadline",
        pod(
            "Failed",
            over(143),
            reason="DeadlineExceeded",
            message="Pod was active on the node longer than the specified deadline",
        ),
        "C203",
        "longer than its 24 hours",
    ),
    (
        "out-of-memory",
        pod("Failed", over(137, "OOMKilled")),
        "C202",
        "ran out of memory: it needed more than its limit of 24Gi",
    ),
    ("out-of-memory", pod("Failed", over(1, "OOMKilled", "MemoryError")), "C202", "out of memory"),
    (
        "too-much-disk",
        pod("Failed", over(137), reason="Evicted", message='Usage of EmptyDir volume "home" exceeds the limit "1Gi". '),
        "C201",
        'EmptyDir volume "home" exceeds the limit',
    ),
    (
        "too-much-disk",
        pod(
            "Failed",
            over(137),
            reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 4Gi. ",
        ),
        "C201",
        "exceeds the total limit",
    ),
    (
        "evicted-for-disk",
        pod(
            "Failed",
            over(137),
            reason="Evicted",
            message="The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. ",
            disruption="TerminationByKubelet",
        ),
        "S102",
        "ran out of disk: The node was low on resource: ephemeral-storage",
    ),
    (
        "evicted-for-memory",
        pod(
            "Failed",
            over(137),
            reason="Evicted",
            message="The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. ",
            disruption="TerminationByKubelet",
        ),
        "S102",
        "its node ran out of memory",
    ),
    (
        "evicted",
        pod("Failed", reason="Evicted", message="The node was low on resource: pids. "),
        "S102",
        "evicted: The",
    ),
    ("preempted", pod("Running", over(143), deleting=True, disruption="PreemptionByScheduler"), "S102", "make room"),
    (
        "preempted",
        pod("Failed", reason="Preempting", message="Preempted in order to admit critical pod"),
        "S102",
        "make room",
    ),
    (
        "node-shutdown",
        pod(
            "Failed",
            over(143),
            reason="Terminated",
            message="Pod was terminated in response to imminent node shutdown.",
            disruption="TerminationByKubelet",
        ),
        "S102",
        "shut down",
    ),
    ("node-shutdown", pod("Failed", over(143), disruption="TerminationByKubelet"), "S102", "shut down"),
    ("drained", pod("Failed", over(143), deleting=True, disruption="EvictionByEvictionAPI"), "S102", "being emptied"),
    ("node-lost", pod("Unknown", RUNNING, reason="NodeLost"), "S102", "was lost"),
    ("node-lost", pod("Failed", RUNNING, disruption="DeletionByPodGC", deleting=True), "S102", "was lost"),
    ("node-lost", pod("Failed", over(143), disruption="DeletionByTaintManager", deleting=True), "S102", "was lost"),
    (
        "node-lost",
        pod(
            "Failed",
            over(137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated"),
        ),
        "S102",
        "was lost",
    ),
    ("node-lost", pod("Running", RUNNING, disruption="DeletionByTaintManager", deleting=True), "S102", "was lost"),
    # containerd after a reboot of the node.
    ("node-lost", pod("Failed", over(255, "Unknown")), "S102", "was started again"),
    ("node-lost", pod("Running", over(255, "Unknown"), deleting=True), "S102", "was started again"),
    # CRI-O after a reboot, or where it never learned a code; the last message is the log's end.
    ("node-lost", pod("Failed", over(-1)), "S102", "was started again"),
    ("node-lost", pod("Failed", over(-1, message="container not running")), "S102", "was started again"),
    ("node-lost", pod("Failed", over(255)), "S102", "was started again"),
    ("node-lost", pod("Failed", over(255, message="epoch 3\nepoch 4\n")), "S102", "was started again"),
    *(
        ("not-admitted", pod("Failed", reason=reason, message="Pod was rejected: x"), "S100", "Pod was rejected: x")
        for reason in (
            "VolumeAttachmentLimitExceeded",
            "SysctlForbidden",
            "OutOfnvidia.com/gpu",
            "PodFeatureUnsupported",
        )
    ),
    ("not-started", pod("Pending", waits("PreStartHookError", "no such device")), "S101", "started: no such device"),
    (
        "not-admitted",
        pod(
            "Failed",
            reason="UnexpectedAdmissionError",
            message="Pod was rejected: Allocate failed due to requested number of devices unavailable for "
            "nvidia.com/gpu. Requested: 1, Available: 0, which is unexpected",
        ),
        "S100",
        "no room for it after all: Pod was rejected: Allocate failed",
    ),
    (
        "not-admitted",
        pod(
            "Failed",
            reason="OutOfnvidia.com/gpu",
            message="Pod was rejected: Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 4, "
            "capacity: 4",
        ),
        "S100",
        "requested: 1, used: 4",
    ),
    ("deleted", pod("Running", over(137), deleting=True), "S102", "was deleted while it ran"),
    ("deleted", pod("Failed", over(1, message="KeyboardInterrupt"), deleting=True), "S102", "was deleted"),
    (
        "own-image-never-pulls",
        pod(
            "Pending",
            waits("InvalidImageName", 'Failed to apply default image tag "My Image": invalid reference format'),
            framework="custom",
            image="My Image",
        ),
        "C104",
        "the image My Image cannot be pulled",
    ),
    (
        "own-image-never-pulls",
        pod(
            "Pending",
            waits(
                "ErrImagePull",
                'failed to pull and unpack image "registry.example/me/net:1": failed to resolve reference '
                '"registry.example/me/net:1": registry.example/me/net:1: not found',
            ),
            framework="custom",
        ),
        "C104",
        "not found",
    ),
    (
        "image-never-pulls",
        pod(
            "Pending",
            waits(
                "ImagePullBackOff",
                'Back-off pulling image "tensorflow:9": ErrImagePull: pull access denied, repository does not exist',
            ),
        ),
        "S103",
        "pull access denied",
    ),
    ("image-never-pulls", pod("Pending", waits("ErrImageNeverPull")), "S103", "cannot be pulled: ErrImageNeverPull"),
    (
        "image-does-not-arrive",
        pod("Pending", waits("ErrImagePull", "dial tcp 192.0.2.7:443: i/o timeout")),
        "S103",
        "did not arrive: dial tcp 192.0.2.7:443: i/o timeout",
    ),
    (
        "image-does-not-arrive",
        pod("Pending", waits("ImagePullBackOff", 'Back-off pulling image "registry.example/access-denied:1"')),
        "S103",
        "Back-off",
    ),
    (
        "own-image-without-shell",
        pod(
            "Failed",
            over(128, "StartError", 'failed to create containerd task: exec: "sh": executable file not found in $PATH'),
            framework="custom",
        ),
        "C104",
        "has no shell",
    ),
    (
        "not-started",
        pod("Failed", over(128, "StartError", "failed to create containerd task: nvidia-container-cli: driver error")),
        "S101",
        "nvidia-container-cli",
    ),
    ("not-started", pod("Failed", over(127, "ContainerCannotRun", "OCI runtime create failed")), "S101", "OCI runtime"),
    (
        "not-started",
        pod("Pending", waits("CreateContainerConfigError", "failed to prepare subPath for volumeMount of container")),
        "S101",
        "failed to prepare subPath",
    ),
    (
        "not-started",
        pod("Pending", waits("CreateContainerError", "context deadline exceeded")),
        "S101",
        "deadline exceeded",
    ),
    ("not-started", pod("Pending", waits("RunContainerError", "no such device")), "S101", "no such device"),
    (
        "no-model-folder",
        pod("Failed", over(71, message="trainyard: the model definition is not at '/job/model'\n")),
        "S301",
        "the model definition is not at '/job/model'",
    ),
    (
        "no-log-folder",
        pod(
            "Failed", over(72, message="trainyard: the log cannot be written to '/job/logs/learner-1/training-log.txt'")
        ),
        "S304",
        "cannot be written",
    ),
    ("no-room", pod("Failed", over(73, message="trainyard: there is no room for temporary files")), "S101", "no room"),
    (
        "requirements",
        pod("Failed", over(74, message="trainyard: ERROR: No matching distribution found for no-such-package==9.9")),
        "C102",
        "requirements.txt could not be installed: ERROR: No matching distribution found for no-such-package==9.9",
    ),
    (
        "not-executable",
        pod("Failed", over(126, message="bash: ./train.sh: Permission denied\ntrainyard: exit code 126: run chmod +x")),
        "C201",
        "exit code 126: a file of the command is not executable",
    ),
    (
        "not-found",
        pod(
            "Failed", over(127, message="bash: line 1: pyhton: command not found\ntrainyard: exit code 127: a program")
        ),
        "C201",
        "was not found: bash: line 1: pyhton: command not found",
    ),
    ("killed", pod("Failed", over(137)), "C201", "most often for lack of memory; its limit is 24Gi"),
    (
        "segmentation-fault",
        pod("Failed", over(139, message="loading kernels\n")),
        "C201",
        "fault (exit code 139): loading",
    ),
    ("illegal-instruction", pod("Failed", over(132)), "C201", "exit code 132"),
    (
        "aborted",
        pod("Failed", over(134, message="terminate called after 'bad_alloc'")),
        "C201",
        "(exit code 134): terminate",
    ),
    ("bus-error", pod("Failed", over(135)), "C201", "/dev/shm"),
    (
        "removed-a-mount",
        pod("Failed", over(1, message="Traceback\nOSError: [Errno 16] Device or resource busy: '/job/result'\n")),
        "C201",
        "is a mount point of the pod: OSError: [Errno 16]",
    ),
    (
        "removed-a-mount",
        pod("Failed", over(1, message="rm: cannot remove '/job/logs': Device or resource busy\nmkdir: File exists")),
        "C201",
        "is a mount point of the pod: mkdir",
    ),
    (
        "exit-code",
        pod("Failed", over(1, message="rm: cannot remove '/job/logs': Device or resource busy\nValueError: 1")),
        "C201",
        "ended with exit code 1: ValueError: 1",
    ),
    (
        "exit-code",
        pod("Failed", over(71, message="trainyard: warning: an image was not run\n")),
        "C201",
        "ended with exit code 71; an image was not run",
    ),
    ("told-to-stop", pod("Failed", over(143)), "C201", "told to stop (exit code 143)"),
    (
        "told-to-stop",
        pod("Failed", over(130, message="KeyboardInterrupt")),
        "C201",
        "(exit code 130): KeyboardInterrupt",
    ),
    ("signal", pod("Failed", over(136, message="x / 0")), "C201", "signal 8 (exit code 136): x / 0"),
    (
        "exit-code",
        pod(
            "Failed",
            over(3, message="Traceback (most recent call last):\n  File\n\x1b[31mValueError: größer\x1b[0m.\n\n"),
        ),
        "C201",
        "ended with exit code 3: ValueError: größer",
    ),
    ("exit-code", pod("Failed", over(71, message="a program's own 71")), "C201", "exit code 71: a program's own 71"),
    ("exit-code", pod("Failed", over(255, message="trainyard: exit code 255\n")), "C201", "ended with exit code 255"),
    (
        "exit-code",
        pod("Failed", over(255, message="trainyard: exit code 255\nno such host\n")),
        "C201",
        "ended with exit code 255: no such host",
    ),
    (
        "exit-code",
        pod(
            "Failed",
            over(
                1,
                message="ERROR: No matching distribution found for torhc\n\n[notice] A new release of pip is there.\n"
                "[notice] To update, run: pip install --upgrade pip\n",
            ),
        ),
        "C201",
        "ended with exit code 1: ERROR: No matching distribution found for torhc",
    ),
    (
        "exit-code",
        pod("Running", over(2), others=[{"name": "istio-proxy", "state": RUNNING}]),
        "C201",
        "exit code 2",
    ),
    (
        "failed-without-a-word",
        pod("Failed", reason="NewReason", message="Something new."),
        "S102",
        "failed: Something new",
    ),
]
