"""A run as MLflow knows runs: parameters, tags and metrics, in names and amounts that it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.plan import Plan
from trainyard.domain.states import State
from trainyard.domain.training import StoreRef, TrainingSpec
from trainyard.workspace.metrics.curves import Curve, Point, thinned

# What one request of MLflow's takes.
MAX_METRICS_A_REQUEST, MAX_PARAMS_A_REQUEST = 1000, 100
# Points of one metric, and of all of a run: more than a screen shows, and ten requests.
MAX_POINTS, MAX_ALL_POINTS = 1000, 10_000
_MAX_NAME, _MAX_TEXT = 250, 5000
# Ours stand apart from the hyperparameters, which may have any name but those with a dot.
PREFIX = "trainyard."
MODEL_ID, TRAINING_ID = f"{PREFIX}model_id", f"{PREFIX}training_id"
_STATUS = {State.COMPLETED: "FINISHED", State.CANCELED: "KILLED"}
_NOT_IN_NAMES = re.compile(r"[^\w./ :-]")
# What whole numbers a float holds exactly, and times until the year 5138.
_MAX_STEP, _MAX_SECONDS = 2.0**53, 1e11


@dataclass(frozen=True)
class Record:
    """A run that has ended. Times are milliseconds since the epoch, `metrics` MLflow's entities."""

    key: RunKey
    experiment: str
    name: str
    status: str
    started: int
    ended: int
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()

    def batches(self) -> Iterator[dict[str, Any]]:
        """Yield what is sent one after the other: parameters and tags, then metrics."""
        yield from ({"params": group} for group in _groups(_pairs(self.params), MAX_PARAMS_A_REQUEST))
        yield from ({"tags": group} for group in _groups(_pairs(self.tags), MAX_PARAMS_A_REQUEST))
        yield from ({"metrics": group} for group in _groups(self.metrics, MAX_METRICS_A_REQUEST))


def record_of(
    key: RunKey,
    spec: TrainingSpec,
    plan: Plan,
    outcome: Outcome,
    curves: Iterable[Curve],
    about: Mapping[str, str],
    now: float,
) -> Record:
    """Return what is reported of a run; `about` says whose it is and what of, `now` stands for times not known."""
    ended = outcome.finished_at or now
    return Record(
        key=key,
        experiment=_cut(about.get("experiment") or spec.name or "trainyard", _MAX_NAME),
        name=_cut(f"{about.get('name') or spec.name} {key.model_id}".strip(), _MAX_NAME),
        status=_STATUS.get(outcome.state, "FAILED"),
        started=_millis(outcome.started_at or ended),
        ended=_millis(ended),
        params=_params(spec, plan, about),
        tags=_tags(key, spec, outcome, about),
        metrics=metrics_of(curves, ended),
    )


def artifacts_of(results: StoreRef, model_id: str) -> str:
    """Return where a run's results are, without any key of it."""
    scheme = {"bluemix_objectstore": "swift"}.get(results.kind, results.kind)
    return f"{scheme}://{results.bucket}/{model_id}/"


def metrics_of(curves: Iterable[Curve], ended: float) -> list[dict[str, Any]]:
    """Return the points of all curves as MLflow's metrics, thinned so that peaks survive; times are in seconds."""
    filled = [curve for curve in curves if curve.kept()]
    most = max(4, min(MAX_POINTS, MAX_ALL_POINTS // max(len(filled), 1)))
    taken: set[str] = set()
    found: list[dict[str, Any]] = []
    for curve in filled:
        name = _metric_name(curve, taken)
        found += (_metric(name, *row) for row in _steps(thinned(curve.rows(), most), ended))
    return found


def _params(spec: TrainingSpec, plan: Plan, about: Mapping[str, str]) -> dict[str, str]:
    size = spec.resources.size or ""
    own = {"size": size, "gpus": str(plan.all_gpus), "image": plan.image, "framework": str(spec.framework)}
    made_of = {name: about.get(name, "") for name in ("data_version", "zip_sha256")}
    values = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in spec.hyperparameters.items()
    }
    return {**values, **{PREFIX + name: text for name, text in {**own, **made_of}.items() if text}}


def _tags(key: RunKey, spec: TrainingSpec, outcome: Outcome, about: Mapping[str, str]) -> dict[str, str]:
    ended = {
        "state": outcome.state.value,
        "outcome": outcome.code or "",
        "message": outcome.message,
        "exit_code": "" if outcome.exit_code is None else str(outcome.exit_code),
        "gpu_seconds": f"{outcome.gpu_seconds:.0f}",
        "artifacts": artifacts_of(spec.results, key.model_id),
        "artifacts_endpoint": spec.results.endpoint,
    }
    # A run that is reported again, since its results are stored now, has no code any more.
    ours = {PREFIX + name: _cut(text, _MAX_TEXT) for name, text in {**about, **ended}.items()}
    shown = {
        "mlflow.user": about.get("owner", ""),
        "mlflow.source.name": spec.name,
        "mlflow.note.content": spec.description,
    }
    return {
        MODEL_ID: key.model_id,
        TRAINING_ID: key.training_id,
        **ours,
        **{name: _cut(text, _MAX_TEXT) for name, text in shown.items() if text},
    }


def _metric_name(curve: Curve, taken: set[str]) -> str:
    """Return a name that MLflow takes, which looks like a path; the source leads where another metric has it."""
    name = _path(curve.name)
    if name in taken:
        name = _path(f"{curve.source}/{curve.name}")
    number, free = 2, name
    while free in taken:
        free, number = f"{name[: _MAX_NAME - 10]}_{number}", number + 1
    taken.add(free)
    return free


def _path(text: str) -> str:
    parts = (part for part in _NOT_IN_NAMES.sub("_", text).split("/") if part not in ("", ".", ".."))
    name = "/".join(parts) or "metric"
    return _cut(f"_{name}" if name.startswith("..") else name, _MAX_NAME)


def _steps(rows: list[Point], ended: float) -> Iterator[tuple[int, int, float]]:
    """Yield step, milliseconds and value; MLflow's steps are whole, so where one is not the points are counted."""
    whole = all(row.step.is_integer() and abs(row.step) < _MAX_STEP for row in map(_floats, rows))
    for row in rows:
        known = row.time is not None and 0 <= row.time <= _MAX_SECONDS
        yield int(row.step if whole else row.at), _millis(row.time if known and row.time else ended), row.value


def _floats(row: Point) -> Point:
    return row._replace(step=float(row.step))


def _metric(name: str, step: int, timestamp: int, value: float) -> dict[str, Any]:
    return {"key": name, "value": value, "timestamp": timestamp, "step": step}


def _millis(seconds: float) -> int:
    return int(seconds * 1000)


def _cut(text: str, most: int) -> str:
    return text.encode(errors="replace").decode()[:most]


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": text} for name, text in values.items()]


def _groups(rows: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    return (rows[at : at + most] for at in range(0, len(rows), most))
