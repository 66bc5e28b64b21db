"""What a manifest has watched while its program runs, and when that is alarming."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

STOPPED = "C205"
STOP_HINT = "What it had made is stored. Fix the program, or change the watchdog in the manifest's `watch`."


_KINDS = ("not_a_number", "diverging", "silent", "longer", "gpu_idle")
# After this, GPUs that nothing was heard of cannot be watched.
_UNHEARD_SECONDS = 120.0


class Then(StrEnum):
    """What an alarm does: people are notified, or the run is stopped as well."""

    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True)
class Watch:
    """The watchdogs of one training; each is off where it is None.

    `diverging` is a metric with how many times its lowest value it may reach. `silent`, `longer` and `gpu_idle` have
    their seconds.
    """

    not_a_number: Then | None = None
    diverging: Then | None = None
    metric: str = ""
    factor: float = 10.0
    silent: Then | None = None
    silent_seconds: float = 0.0
    longer: Then | None = None
    longer_seconds: float = 0.0
    gpu_idle: Then | None = None
    gpu_idle_seconds: float = 0.0

    @property
    def on(self) -> bool:
        return any(getattr(self, kind) for kind in _KINDS)

    @property
    def reads_metrics(self) -> bool:
        return bool(self.not_a_number or self.diverging or self.silent)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Watch:
        """Read it back; keys this version does not know are dropped."""
        known = {key: value for key, value in (data or {}).items() if key in cls.__dataclass_fields__}
        thens = {key: Then(known[key]) for key in _KINDS if known.get(key)}
        return cls(**{**known, **thens})


NO_WATCH = Watch()


@dataclass(frozen=True)
class Gpus:
    """When the GPUs of a run began to be watched, said how busy they are, and were busy last; 0 is never.

    Times are seconds since the epoch.
    """

    watched_at: float = 0.0
    seen_at: float = 0.0
    busy_at: float = 0.0


@dataclass(frozen=True)
class Sight:
    """What is seen of a run that trains. Times are seconds since the epoch.

    `heard_at` is when its program has printed or reported last. `not_finite` names its metrics with values that are no
    numbers, `curves` has the last and the lowest value of each.
    """

    now: float
    started_at: float
    heard_at: float
    not_finite: tuple[str, ...] = ()
    curves: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gpus: Gpus = Gpus()


@dataclass(frozen=True)
class Alarm:
    """One watchdog's alarm: which it is, what it does, and why."""

    kind: str
    then: Then
    reason: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def alarms(watch: Watch, sight: Sight) -> Iterator[Alarm]:
    """Yield what is alarming, what stops the run first."""
    yield from sorted(_alarms(watch, sight), key=lambda alarm: alarm.then is Then.WARN)


def _alarms(watch: Watch, sight: Sight) -> Iterator[Alarm]:
    if watch.not_a_number and sight.not_finite:
        yield Alarm("not_a_number", watch.not_a_number, f"{_names(sight.not_finite)} is no number any more")
    last, lowest = sight.curves.get(watch.metric, (0.0, 0.0))
    if watch.diverging and lowest > 0 and last >= watch.factor * lowest:
        reason = f"{watch.metric} diverges: it is {last:.6g}, and was {lowest:.6g}"
        yield Alarm("diverging", watch.diverging, reason)
    silence = sight.now - max(sight.heard_at, sight.started_at)
    if watch.silent and silence >= watch.silent_seconds:
        yield Alarm("silent", watch.silent, f"the program has printed and reported nothing for {_spoken(silence)}")
    age = sight.now - sight.started_at
    if watch.longer and age >= watch.longer_seconds:
        reason = f"the program runs for {_spoken(age)}, longer than the expected {_spoken(watch.longer_seconds)}"
        yield Alarm("longer", watch.longer, reason)
    if watch.gpu_idle and sight.gpus.watched_at:
        yield from _of_gpus(watch.gpu_idle, watch.gpu_idle_seconds, sight)


def _of_gpus(then: Then, seconds: float, sight: Sight) -> Iterator[Alarm]:
    """Yield what is alarming of GPUs; those that do not say how busy they are stop no run."""
    gpus, begun = sight.gpus, max(sight.gpus.watched_at, sight.started_at)
    if sight.now - max(gpus.seen_at, begun) >= _UNHEARD_SECONDS:
        reason = "whether its GPUs are idle cannot be watched: nvidia-smi does not tell in its container"
        yield Alarm("gpu_unseen", Then.WARN, reason)
        return
    idle = gpus.seen_at - max(gpus.busy_at, begun)
    if idle >= seconds:
        yield Alarm("gpu_idle", then, f"none of its GPUs has been busy for {_spoken(idle)}")


def _names(names: tuple[str, ...]) -> str:
    more = len(names) - 1
    return f"the metric {names[0][:80]}{f', with {more} others,' if more else ''}"


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
