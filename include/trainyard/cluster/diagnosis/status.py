"""What a pod's status says, read once from the API's JSON into plain facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainyard.cluster.environment import GPU, LEARNER
from trainyard.cluster.labels import FRAMEWORK, MODEL_ID
from trainyard.cluster.labels import LEARNER as NUMBER
from trainyard.quantity import memory_text, quantity

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f]")
# What stands after an error and says nothing of it: the wrapper's own line, and pip's advice to upgrade pip.
_IDLE_WORDS = re.compile(r"trainyard: exit code|^\[notice\]|^WARNING: You are using pip|^You should consider upgrading")
_WARNING = "trainyard: warning: "
_LINE = 300


@dataclass(frozen=True)
class Facts:
    """The facts a diagnosis goes by. Times are seconds since the epoch; texts are empty where nothing is said.

    `reason` and `message` are the pod's, `waiting*` and `ended*` its container's, `disruption` is the reason of a true
    DisruptionTarget condition. `memory` is in bytes.
    """

    gpus: int = 0
    memory: int = 0
    now: float | None = None
    phase: str = ""
    reason: str = ""
    message: str = ""
    disruption: str = ""
    disrupted_at: float | None = None
    deleted_at: float | None = None
    deletion_grace: float = 0.0
    scheduled_at: float | None = None
    begun_at: float | None = None
    unscheduled: str = ""
    wanted_gpus: int = 0
    model_id: str = ""
    learner: str = ""
    image: str = ""
    image_id: str = ""
    custom: bool = False
    deadline: float | None = None
    waiting: str = ""
    waiting_message: str = ""
    exit_code: int | None = None
    ended: str = ""
    ended_message: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    company: bool = False
    gone: bool = False

    @property
    def deleting(self) -> bool:
        return self.deleted_at is not None

    @property
    def deletion_asked_at(self) -> float | None:
        """When somebody asked for the pod's end; its timestamp says when its grace is over."""
        return None if self.deleted_at is None else self.deleted_at - self.deletion_grace

    @property
    def settled(self) -> bool:
        """Say whether the container's end is the whole story.

        The pod's own reason (a deadline, an eviction) arrives up to two seconds after its container ended. A pod that
        is deleted, or in which somebody's sidecar still runs, may never have a phase that says so.
        """
        return self.phase in ("Succeeded", "Failed") or (self.exit_code is not None and (self.deleting or self.company))

    @property
    def limit(self) -> str:
        return memory_text(self.memory)

    @property
    def signal(self) -> int:
        return self.exit_code - 128 if self.exit_code is not None and self.exit_code > 128 else 0

    @property
    def allowed(self) -> str:
        """The time the run was allowed, or had where the pod's spec is not at hand."""
        seconds = self.deadline or (self.finished_at or 0) - (self.begun_at or self.finished_at or 0)
        units = ((3600, "hour"), (60, "minute"), (1, "second"))
        amount, unit = next(((seconds / size, name) for size, name in units if seconds >= size), (seconds, "second"))
        return f"{amount:.3g} {unit}" + ("" if amount == 1 else "s")

    @property
    def of_run(self) -> str:
        """The run's model id, led by a blank, and which of several learners; nothing where the pod does not say it."""
        option = f" --learner {self.learner}" if self.learner else ""
        return f" {self.model_id}{option}" if self.model_id else ""

    @property
    def last_words(self) -> str:
        """The program's last line, led by a colon; nothing if there is none. Rows explain exit codes themselves."""
        return f": {self.last_lines[-1]}" if self.last_lines else ""

    @property
    def wrappers_reason(self) -> str:
        """The reason that the wrapper gave up for, led by a colon; nothing if there is none."""
        return f": {clean(self._ended_lines[0].removeprefix('trainyard: '))}" if self.gave_up else ""

    @property
    def last_lines(self) -> list[str]:
        """The program's last lines, without what the wrapper says."""
        return [line for line in map(clean, self._ended_lines) if line and not _IDLE_WORDS.search(line)]

    @property
    def warnings(self) -> str:
        """What the wrapper warns of, each once."""
        found = [line for line in self.ended_message.splitlines() if line.startswith(_WARNING)]
        return "; ".join(dict.fromkeys(clean(line.removeprefix(_WARNING)) for line in found))

    @property
    def gave_up(self) -> bool:
        """Whether the wrapper itself ended the container, with its reason."""
        return any(line.startswith("trainyard: ") and not _IDLE_WORDS.search(line) for line in self._ended_lines[:1])

    @property
    def has_wrappers_word(self) -> bool:
        """Whether the wrapper said that 255, which runtimes make up too, is the program's own exit code."""
        return "trainyard: exit code 255" in self._ended_lines

    @property
    def _ended_lines(self) -> list[str]:
        return [line for line in self.ended_message.splitlines() if not line.startswith(_WARNING)]

    @property
    def details(self) -> str:
        """Whatever else the status says, led by a colon; nothing if there is nothing."""
        stated = clean(self.message) or clean(self.waiting_message) or clean("\n".join(self._ended_lines))
        words = stated or self.reason or self.ended or self.waiting
        return f": {words}" if words else ""

    @property
    def gpu_seconds(self) -> float:
        """GPUs times the seconds they were held: from its place on a node until its container ended."""
        ends = [time for time in (self.finished_at, self.disrupted_at) if time is not None]
        if self.scheduled_at is None or not ends:
            return 0.0
        return self.gpus * max(0.0, ends[0] - self.scheduled_at)


def read_status(pod: Mapping[str, Any] | None, gpus: int = 0, memory: int = 0, now: float | None = None) -> Facts:
    """Read a pod as the API returns it; None is a pod that is gone. Anything may be missing."""
    if pod is None:
        return Facts(gpus=gpus, memory=memory, now=now, gone=True)
    metadata, spec, status = (pod.get(part) or {} for part in ("metadata", "spec", "status"))
    conditions = {row["type"]: row for row in status.get("conditions") or [] if row.get("status") == "True"}
    lacking = {row["type"]: row for row in status.get("conditions") or [] if row.get("status") == "False"}
    disruption = conditions.get("DisruptionTarget", {})
    labels = metadata.get("labels") or {}
    asked = _learner(spec.get("containers"))
    own = _learner(status.get("containerStatuses"))
    others = [row for row in status.get("containerStatuses") or [] if row is not own]
    state = own.get("state") or {}
    ended, waiting = state.get("terminated") or {}, state.get("waiting") or {}
    return Facts(
        gpus=gpus,
        memory=memory,
        now=now,
        phase=status.get("phase") or "",
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        disruption=disruption.get("reason") or "",
        disrupted_at=_time(disruption.get("lastTransitionTime")),
        deleted_at=_time(metadata.get("deletionTimestamp")),
        deletion_grace=metadata.get("deletionGracePeriodSeconds") or 0.0,
        scheduled_at=_time(conditions.get("PodScheduled", {}).get("lastTransitionTime")),
        begun_at=_time(status.get("startTime")),
        unscheduled=lacking.get("PodScheduled", {}).get("message") or "",
        wanted_gpus=_gpus(asked),
        image=asked.get("image") or own.get("image") or "",
        image_id=own.get("imageID") or "",
        custom=labels.get(FRAMEWORK) == "custom",
        model_id=labels.get(MODEL_ID) or "",
        learner=labels.get(NUMBER) or "",
        deadline=spec.get("activeDeadlineSeconds"),
        waiting=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        exit_code=ended.get("exitCode"),
        ended=ended.get("reason") or "",
        ended_message=ended.get("message") or "",
        started_at=_time(ended.get("startedAt") or (state.get("running") or {}).get("startedAt")),
        finished_at=_time(ended.get("finishedAt")),
        company=any((other.get("state") or {}).get("running") for other in others),
    )


def gpus_of(pod: Mapping[str, Any]) -> int:
    """Return how many GPUs a pod asks for."""
    return _gpus(_learner((pod.get("spec") or {}).get("containers")))


def clean(text: str) -> str:
    """Return a text as one short line without control characters, colours or a full stop."""
    return _CONTROL.sub(" ", text).strip().rstrip(".")[:_LINE]


def _gpus(container: Mapping[str, Any]) -> int:
    return int(quantity(((container.get("resources") or {}).get("limits") or {}).get(GPU, 0)))


def _learner(rows: list[Mapping[str, Any]] | None) -> Mapping[str, Any]:
    return next((row for row in rows or [] if row.get("name") == LEARNER), {})


def _time(text: str | None) -> float | None:
    """Read a moment; a missing one and the zero time that Kubernetes writes for `never` are None."""
    moment = datetime.fromisoformat(text).timestamp() if text else 0
    return moment if moment > 0 else None
