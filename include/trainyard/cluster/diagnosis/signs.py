"""The signs by which the ways a pod ends are distinguished, as tests of its facts."""

from __future__ import annotations

import re
from collections.abc import Callable

from trainyard.cluster.diagnosis.status import Facts
from trainyard.cluster.volumes import JOB

Sign = Callable[[Facts], bool]

_PULLING = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
_UNSTARTED = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "RunContainerError",
)
_CANNOT_RUN = ("StartError", "ContainerCannotRun")
# The kubelet's own list of why it takes no pod, and what older ones said.
_NOT_ADMITTED = frozenset(
    """
    UnexpectedAdmissionError NodeAffinity TopologyAffinityError PodOSNotSupported InsufficientResourceError AppArmor
    PodOSSelectorNodeLabelDoesNotMatch InvalidNodeInfo InitContainerRestartPolicyForbidden UnknownReason
    SupplementalGroupsPolicyNotSupported UnexpectedPredicateFailureType PodLevelResourcesNotSupported
    PodFeatureUnsupported SysctlForbidden VolumeAttachmentLimitExceeded
    """.split()  # noqa: SIM905 - twenty lines otherwise
)
# Words of registries and container runtimes for an image that no waiting brings.
_NO_SUCH_IMAGE = (
    "not found",
    "manifest unknown",
    "does not exist",
    "denied",
    "forbidden",
    "unauthorized",
    "authorization failed",
    "no match for platform",
    "no matching manifest",
    "invalid reference",
)
_BUSY = re.compile(rf"{JOB}/\w+\b.*Device or resource busy|Device or resource busy.*{JOB}/\w+\b")
_QUOTED = re.compile(r'"[^"]*"')  # mostly the image's name, which may be any word
TOO_MUCH_DISK = ("exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral storage limit")
DISK_WORDS = ("ephemeral-storage", "inodes", "disk", "nodefs", "imagefs")


def evicted(facts: Facts, words: tuple[str, ...] = ()) -> bool:
    if facts.reason != "Evicted":
        return False
    return not words or any(word in facts.message.lower() for word in words)


def disrupted(*reasons: str) -> Sign:
    """Match a pod that was chosen to go for one of these reasons and whose container has ended."""
    return lambda facts: facts.disruption in reasons and facts.settled


def either(*tests: Sign) -> Sign:
    return lambda facts: any(test(facts) for test in tests)


def pod_reason(*reasons: str) -> Sign:
    return lambda facts: facts.reason in reasons


def is_overdue(facts: Facts) -> bool:
    """A minute past its grace period the kubelet would have ended the container, if there still was a kubelet."""
    if facts.settled or facts.deleted_at is None or facts.now is None:
        return False
    return facts.now > facts.deleted_at + 60


def container_lost(facts: Facts) -> bool:
    """Say whether nobody saw the container's end.

    `ContainerStatusUnknown` is the kubelet's own word. containerd says `Unknown`, with exit code 255, for a container
    that it had recorded as running and does not find: after a reboot of the node, for instance. CRI-O says `Error` for
    the same, with 255, or with -1 where it never learned a code; a program's own 255 comes with the wrapper's word.
    """
    if facts.ended in ("ContainerStatusUnknown", "Unknown"):
        return True
    code = facts.exit_code if facts.settled else None
    return code is not None and (code < 0 or (code == 255 and not facts.has_wrappers_word))


def is_pulling(facts: Facts) -> bool:
    return facts.waiting in _PULLING


def never_pulls(facts: Facts) -> bool:
    if facts.waiting in ("InvalidImageName", "ErrImageNeverPull", "SignatureValidationFailed"):
        return True
    stated = _QUOTED.sub("", facts.waiting_message.lower())
    return is_pulling(facts) and any(word in stated for word in _NO_SUCH_IMAGE)


def cannot_run(facts: Facts) -> bool:
    return facts.ended in _CANNOT_RUN or facts.waiting in _UNSTARTED


def has_no_shell(facts: Facts) -> bool:
    stated = (facts.ended_message + facts.waiting_message).lower()
    return facts.custom and cannot_run(facts) and ("not found" in stated or "no such file" in stated)


def not_admitted(facts: Facts) -> bool:
    return facts.reason.startswith("OutOf") or facts.reason in _NOT_ADMITTED


def exited(*codes: int) -> Sign:
    return lambda facts: facts.settled and facts.exit_code in codes


def removed_a_mount(facts: Facts) -> bool:
    """Match EBUSY for one of the pod's own folders, in the last line or before the folder could not be made again."""
    if not (facts.settled and facts.exit_code):
        return False
    *before, last = facts.last_lines or [""]
    return bool(_BUSY.search(last)) or ("File exists" in last and any(map(_BUSY.search, before)))


def wrapper_gave_up(code: int) -> Sign:
    """Match learner.sh's own exits; a program may use the same codes, but not the wrapper's words with them."""
    return lambda facts: exited(code)(facts) and facts.gave_up
