"""The table of endings: every way in which a pod can end, each with its reason; the first row that matches decides."""

from __future__ import annotations

from trainyard.cluster.diagnosis.disruptions import DISRUPTIONS
from trainyard.cluster.diagnosis.exits import EXITS
from trainyard.cluster.diagnosis.row import SUBMIT_AGAIN, TAKE_LARGER, Row
from trainyard.cluster.diagnosis.signs import TOO_MUCH_DISK, evicted, pod_reason
from trainyard.cluster.diagnosis.startfailures import START_FAILURES
from trainyard.cluster.diagnosis.status import Facts


def find_row(facts: Facts) -> Row | None:
    """Return the table's row for these facts, None while the pod is waiting or running."""
    return next((row for row in ROWS if row.matches(facts)), None)


# Gone, success, and the limits that a program ran into.
_FIRST = (
    Row(
        "gone", "deleted by hand, or with its node", lambda f: f.gone, "S102", "the training pod is gone", SUBMIT_AGAIN
    ),
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
        TAKE_LARGER,
    ),
    Row(
        "too-much-disk",
        "evicted for its own use of /tmp and HOME: another attempt would fill them again",
        lambda f: evicted(f, TOO_MUCH_DISK),
        "C201",
        "the training program wrote more to temporary folders than a pod may{f.details}",
        "Write to RESULT_DIR or CHECKPOINT_DIR instead of /tmp and HOME.",
    ),
)
ROWS = (*_FIRST, *DISRUPTIONS, *START_FAILURES, *EXITS)
