"""How a run ended, as one value that travels as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainyard.domain.states import State
from trainyard.errors import CODES, Fault, TrainyardError, hint_of, with_former_name

_METRIC_VALUES = ("last", "minimum", "maximum")
MAX_METRICS = 100
# Outcomes are XComs, and many of them are listed at once.
MAX_TEXT = 16 * 1024
MAX_SECONDS = 100 * 365 * 24 * 3600.0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_amount(value: Any) -> bool:
    # A century in seconds, of a thousand GPUs, is more than any run has.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def _is_moment(value: Any) -> bool:
    return value is None or _is_amount(value)


# A name that can be pulled: of an image that is on its node alone, a cluster tells a digest without one.
_EXACT_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/-]{0,400}@sha256:[0-9a-f]{64}", re.ASCII)


def exact_image(image_id: str) -> str:
    """Return the image that a container really ran, by its digest; empty where the cluster does not report a name."""
    name = image_id.partition("://")[2] or image_id
    return name if _EXACT_IMAGE.fullmatch(name) else ""


_FITTING: Mapping[str, Callable[[Any], bool]] = {
    "code": lambda value: isinstance(value, str) and value in CODES,
    "message": _is_text,
    "hint": _is_text,
    "exit_code": lambda value: value is None or (type(value) is int and abs(value) < 2**31),
    "gpu_seconds": _is_amount,
    "started_at": _is_moment,
    "finished_at": _is_moment,
    "metrics": lambda value: isinstance(value, Mapping),
    "image": lambda value: isinstance(value, str) and (not value or bool(_EXACT_IMAGE.fullmatch(value))),
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended; times are seconds since the epoch.

    After success `code` is None and `message` is what the run warns of, most often nothing. `metrics` has the last, the
    lowest and the highest value of each of its metrics, and `image` is the very image by its digest, where the cluster
    reports it.
    """

    code: str | None = None
    message: str = ""
    hint: str = ""
    exit_code: int | None = None
    gpu_seconds: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    image: str = ""

    @property
    def fault(self) -> Fault | None:
        return CODES[self.code].fault if self.code else None

    @property
    def retried(self) -> bool:
        """Say whether another attempt may help: only where the infrastructure was at fault."""
        return bool(self.code) and CODES[str(self.code)].retried

    @property
    def state(self) -> State:
        if self.code is None:
            return State.COMPLETED
        return State.CANCELED if self.code == "C204" else State.ERROR

    def as_dict(self) -> dict[str, Any]:
        cut = {"message": self.message[:MAX_TEXT], "hint": self.hint[:MAX_TEXT]}
        reported = {**asdict(self), **cut, "fault": self.fault.value if self.fault else None}
        return with_former_name(reported)

    @classmethod
    def from_dict(cls, data: Any) -> Outcome:
        """Read an outcome back; a key or value that no outcome can have is dropped, whoever wrote it.

        One row that cannot be read must not fail the list, the quota or housekeeping of all others.
        """
        if not isinstance(data, Mapping):
            return cls()
        found = {**data, "hint": hint_of(data), "metrics": read_metrics(data.get("metrics"))}
        return cls(**{name: found[name] for name, fits in _FITTING.items() if name in found and fits(found[name])})

    @classmethod
    def of(cls, error: TrainyardError) -> Outcome:
        """Turn an error into the outcome of the run that met it; its problems go into the message."""
        details = "; ".join(str(problem) for problem in error.problems)
        return cls(error.code.code, f"{error.message}: {details}" if details else error.message, error.hint)


def read_metrics(data: Any) -> dict[str, dict[str, float]]:
    """Read back the values of a run's metrics; what cannot be such values is dropped, whoever wrote it."""
    rows = list(data.items())[:MAX_METRICS] if isinstance(data, Mapping) else []
    found = {str(name)[:200]: _values(row) for name, row in rows if isinstance(row, Mapping)}
    return {name: values for name, values in found.items() if values}


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    values = {key: row.get(key) for key in _METRIC_VALUES}
    fine = all(type(value) in (int, float) and math.isfinite(value) for value in values.values() if value is not None)
    return {key: float(value) for key, value in values.items() if value is not None} if fine else {}
