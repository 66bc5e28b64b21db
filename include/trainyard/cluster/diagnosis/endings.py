"""The ways a training pod ends, as one table; every row with the reason why it is what it is."""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.cluster.diagnosis.signs import (
    DISK_WORDS,
    TOO_MUCH_DISK,
    Sign,
    cannot_run,
    container_lost,
    disrupted,
    either,
    evicted,
    exited,
    has_no_shell,
    is_overdue,
    is_pulling,
    never_pulls,
    not_admitted,
    pod_reason,
    removed_a_mount,
    wrapper_gave_up,
)
from trainyard.cluster.diagnosis.status import Facts

_READ_LOG = "See what it wrote with `trainyard logs{f.of_run}`, mend the program and submit it again."
_LARGER = "Take a larger size, or let the program hold less at once (smaller batches, fewer data loaders)."
# No hint promises another attempt: whoever reads one has a run that had its last.
_AGAIN = "Submit it again: what the program kept in CHECKPOINT_DIR is still there."
_OPERATORS = "Those who run the service have to look at the cluster; submit it again after that."
_OWN_IMAGE = "Check the image's name, its tag and that the cluster may read it, then submit again."


@dataclass(frozen=True)
class Row:
    """One way to end. The first row that matches decides; `f` in the message is the facts.

    `final` is False where the cluster itself keeps trying, so that only the caller's patience makes it an end.
    """

    name: str
    why: str
    matches: Sign
    code: str | None
    message: str = ""
    hint: str = ""
    final: bool = True


def find_row(facts: Facts) -> Row | None:
    """Return the table's row for these facts, None while the pod is waiting or running."""
    return next((row for row in ROWS if row.matches(facts)), None)


ROWS = (
    Row("gone", "deleted by hand, or with its node", lambda f: f.gone, "S102", "the training pod is gone", _AGAIN),
    Row(
        "success",
        "an exit code of 0 is the program's own word: the wrapper never gives it for an interrupted one",
        lambda f: f.exit_code == 0 or f.phase == "Succeeded",
        None,
    ),
    Row(
        "deadline",
        "the kubelet ends what runs past activeDeadlineSeconds, whatever the program then exits with",
        pod_reason("DeadlineExceeded"),
        "C203",
        "the run was ended because it took longer than its {f.allowed}",
        "Let it do less, continue from CHECKPOINT_DIR in a new run, or ask for a longer maximum for the account.",
    ),
    Row(
        "out-of-memory",
        "the kernel ended a process at the container's limit; the exit code may be the wrapper's or the program's",
        lambda f: f.ended == "OOMKilled" and f.settled,
        "C202",
        "the training program ran out of memory: it needed more than its limit of {f.limit}",
        _LARGER,
    ),
    Row(
        "too-much-disk",
        "evicted for its own use of /tmp and HOME: another attempt would fill them again",
        lambda f: evicted(f, TOO_MUCH_DISK),
        "C201",
        "the training program wrote more to temporary folders than a pod may{f.details}",
        "Write to RESULT_DIR or CHECKPOINT_DIR instead of /tmp and HOME.",
    ),
    Row(
        "evicted-for-disk",
        "the node ran full, by whomever",
        lambda f: evicted(f, DISK_WORDS),
        "S102",
        "the training pod was evicted because its node ran out of disk{f.details}",
        _AGAIN,
    ),
    Row(
        "evicted-for-memory",
        "the node ran short: requests equal limits, so others used more than they had reserved",
        lambda f: evicted(f, ("memory",)),
        "S102",
        "the training pod was evicted because its node ran out of memory{f.details}",
        _AGAIN,
    ),
    Row(
        "evicted", "by pids or a quota of the node", evicted, "S102", "the training pod was evicted{f.details}", _AGAIN
    ),
    Row(
        "preempted",
        "a pod of higher priority took the place",
        either(
            pod_reason("Preempting", "Preempted"),
            disrupted("PreemptionByScheduler", "PreemptionByKubeScheduler"),
        ),
        "S102",
        "the training pod had to make room for another one",
        _AGAIN,
    ),
    Row(
        "node-shutdown",
        "the kubelet ends its pods before the machine goes down",
        either(pod_reason("Terminated", "NodeShutdown", "Shutdown"), disrupted("TerminationByKubelet")),
        "S102",
        "the training pod's node was shut down",
        _AGAIN,
    ),
    Row(
        "drained",
        "somebody empties the node through the eviction API",
        disrupted("EvictionByEvictionAPI"),
        "S102",
        "the training pod's node is being emptied",
        _AGAIN,
    ),
    Row(
        "node-lost",
        "the control plane, a restarted kubelet or a container runtime after a reboot no longer finds the container",
        either(
            pod_reason("NodeLost"),
            lambda f: f.phase == "Unknown",
            container_lost,
            disrupted("DeletionByTaintManager", "DeletionByPodGC"),
            is_overdue,
        ),
        "S102",
        "the training pod's node was lost, or was started again",
        _AGAIN,
    ),
    Row(
        "not-admitted",
        "the node took back what the scheduler had seen there, often a GPU whose device plugin restarts",
        not_admitted,
        "S100",
        "the node chosen for the training pod had no room for it after all{f.details}",
        _AGAIN,
    ),
    Row(
        "deleted",
        "the service ends pods only of runs that are over, so it was someone else",
        lambda f: f.deleting and f.settled,
        "S102",
        "the training pod was deleted while it ran",
        _AGAIN,
    ),
    Row(
        "own-image-never-pulls",
        "a custom image is the person's to name rightly",
        lambda f: f.custom and never_pulls(f),
        "C104",
        "the image {f.image} cannot be pulled{f.details}",
        _OWN_IMAGE,
    ),
    Row(
        "image-never-pulls",
        "the catalogue of frameworks names an image that is not there",
        never_pulls,
        "S103",
        "the framework's image {f.image} cannot be pulled{f.details}",
        _OPERATORS,
    ),
    Row(
        "image-does-not-arrive",
        "a registry that is busy or out of reach; the kubelet keeps trying",
        is_pulling,
        "S103",
        "the image {f.image} did not arrive{f.details}",
        _OPERATORS,
        final=False,
    ),
    Row(
        "own-image-without-shell",
        "the wrapper needs `sh`, which an image made from scratch has not",
        has_no_shell,
        "C104",
        "the image {f.image} has no shell to run the command in{f.details}",
        "Use an image that has `sh` and the usual tools (tee, mkfifo, tail).",
    ),
    Row(
        "not-started",
        "runtime, volume or device trouble before the program's first instruction",
        lambda f: cannot_run(f) and not (f.waiting and f.deleting),
        "S101",
        "the training container could not be started{f.details}",
        _OPERATORS,
    ),
    Row(
        "no-model-folder",
        "the workspace on the node lacks what staging put there",
        wrapper_gave_up(71),
        "S301",
        "the training pod did not find its model definition{f.last_words}",
        _OPERATORS,
    ),
    Row(
        "no-log-folder",
        "the workspace on the node is full or belongs to another user",
        wrapper_gave_up(72),
        "S304",
        "the training pod cannot write its log{f.last_words}",
        _OPERATORS,
    ),
    Row(
        "no-room",
        "as above, for the state folder or /tmp",
        wrapper_gave_up(73),
        "S101",
        "the training pod cannot write its files{f.last_words}",
        _OPERATORS,
    ),
    Row(
        "requirements",
        "pip found no such package, or could not reach its index",
        wrapper_gave_up(74),
        "C102",
        "requirements.txt could not be installed{f.wrappers_reason}",
        "Mend requirements.txt, or write `requirements: false` in the manifest and bring what is needed in the image.",
    ),
    Row(
        "not-executable",
        "zip programs drop the exec bit",
        exited(126),
        "C201",
        "the training program ended with exit code 126: a file of the command is not executable",
        "Run chmod +x on it before zipping, or start it through its interpreter (`sh train.sh`, `python train.py`).",
    ),
    Row(
        "not-found",
        "a shell's word for a command that is not there",
        exited(127),
        "C201",
        "the training program ended with exit code 127: a program of the command was not found{f.last_words}",
        "Check its name and that the zip or the framework's image has it; a file of the zip is started as ./file.",
    ),
    Row(
        "killed",
        "no OOMKilled: the kernel may have ended one process and left the container, or the program itself did it",
        exited(137),
        "C201",
        "the training program was killed (exit code 137), most often for lack of memory; its limit is {f.limit}",
        _LARGER,
    ),
    Row(
        "segmentation-fault",
        "native code",
        exited(139),
        "C201",
        "the training program crashed with a segmentation fault (exit code 139){f.last_words}",
        "It is a fault in native code: check that the libraries fit the framework's version.",
    ),
    Row(
        "illegal-instruction",
        "old and vendor builds use instructions that not every processor has",
        exited(132),
        "C201",
        "the training program used an instruction that the processor does not have (exit code 132)",
        "Use a build of the library for an older processor, or another framework version.",
    ),
    Row(
        "aborted",
        "native libraries abort after they said why",
        exited(134),
        "C201",
        "the training program aborted (exit code 134){f.last_words}",
        _READ_LOG,
    ),
    Row(
        "bus-error",
        "a memory map that could not be filled: a full /dev/shm or a file cut short",
        exited(135),
        "C201",
        "the training program crashed with a bus error (exit code 135), most often because /dev/shm was full",
        _LARGER,
    ),
    Row(
        "removed-a-mount",
        "programs like to remove their output folder and make it again, which a mount point does not allow",
        removed_a_mount,
        "C201",
        "the training program tried to remove or replace a folder that is a mount point of the pod{f.last_words}",
        'Remove what is inside the folder and keep the folder: `find "$RESULT_DIR" -mindepth 1 -delete`. Or let the '
        "program use a subfolder of it.",
    ),
    Row(
        "told-to-stop",
        "nobody of the cluster is on record for it, so the program told itself",
        exited(130, 143),
        "C201",
        "the training program was told to stop (exit code {f.exit_code}){f.last_words}",
        _READ_LOG,
    ),
    Row(
        "signal",
        "any other signal",
        lambda f: f.settled and 0 < f.signal <= 64,
        "C201",
        "the training program was ended by signal {f.signal} (exit code {f.exit_code}){f.last_words}",
        _READ_LOG,
    ),
    Row(
        "exit-code",
        "the program's own word",
        lambda f: f.settled and f.exit_code is not None,
        "C201",
        "the training program ended with exit code {f.exit_code}{f.last_words}",
        _READ_LOG,
    ),
    Row(
        "failed-without-a-word",
        "a reason that this table does not know is the infrastructure's until someone adds its row",
        lambda f: f.phase == "Failed",
        "S102",
        "the training pod failed{f.details}",
        _OPERATORS,
    ),
)
