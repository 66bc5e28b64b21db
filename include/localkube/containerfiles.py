"""What a container's folder says of it: its start, its end, and its last words."""

from __future__ import annotations

from pathlib import Path

from localkube import records
from localkube.logs import last_text
from localkube.objects import Obj
from localkube.podstatus import ContainerRecord, Waiting

_MESSAGE_BYTES = 4096
_LOG_LINES, _LOG_BYTES = 80, 2048


def container_record(folder: Path, container: Obj, waiting: Waiting) -> ContainerRecord:
    """Read what is known of a container; `waiting` is why it has not started, if it has not."""
    exited = records.read(str(folder), records.EXITED)
    return ContainerRecord(
        started=records.read(str(folder), records.STARTED),
        exited=exited,
        message=_last_words(folder, container, exited) if exited else "",
        waiting=waiting,
    )


def _last_words(folder: Path, container: Obj, exited: Obj) -> str:
    """Return the termination message: the file the program wrote, else, if the pod asks for it, the log's end."""
    path = folder / records.TERMINATION_LOG
    written = path.read_bytes()[:_MESSAGE_BYTES].decode(errors="replace") if path.exists() else ""
    wants_log = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if written or not wants_log or exited["exitCode"] == 0:
        return written
    return last_text(folder, _LOG_LINES, _LOG_BYTES)
