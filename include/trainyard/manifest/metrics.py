"""Read what a manifest says of the run's metrics: evaluation_metrics as FfDL has it, and patterns by metric."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trainyard.domain.metricrules import (
    LogPattern,
    PatternError,
    group_patterns,
    named_patterns,
    unread_kind,
    unread_place,
)
from trainyard.manifest.masking import shown
from trainyard.manifest.values import Values

EVALUATION, PATTERNS = "evaluation_metrics", "metrics"
# The folders that are stored, as FfDL's manifests name them; a logger's file is the log, which is stored anyway.
_STORED = re.compile(
    r"(\$\{?JOB_STATE_DIR\}?/logs/tb|\$\{?LOG_DIR\}?|\$\{?JOB_STATE_DIR\}?/logs/training-log\.txt|\$\{?RESULT_DIR\}?)(/.*)?$"
)
_HINT = "Patterns are RE2's: as in Python, without look-around and back references. %{FLOAT} and %{INT} are numbers."


def read_metrics(values: Values, learners: int) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Return evaluation_metrics and the patterns; note patterns that cannot be used, and warn of what is not read."""
    metrics, patterns = _map(values, EVALUATION), _map(values, PATTERNS)
    _warn(values, metrics)
    _check_learner(values, metrics.get("learner", 1), learners)
    texts = {name: str(text) for name, text in patterns.items() if isinstance(text, str) and text}
    _note(values, ((name, one) for name, one in named_patterns(texts)), PATTERNS)
    if metrics.get("type") == "regex_extractor":
        _note(values, group_patterns(metrics), EVALUATION, "groups")
    return metrics, texts


def _check_learner(values: Values, learner: Any, learners: int) -> None:
    if type(learner) is not int or not 1 <= learner <= learners:
        what = "there is one learner, 1" if learners == 1 else f"the learners are 1 to {learners}"
        values.faults.add((EVALUATION, "learner"), f"{what}.", "Name one of them, or ask for more.")


def _map(values: Values, key: str) -> Mapping[str, Any]:
    found = values.document.value((key,))
    return found if isinstance(found, dict) else {}


def _note(values: Values, found: Iterator[tuple[str, LogPattern | PatternError]], *at: str) -> None:
    for name, one in found:
        if isinstance(one, PatternError):
            place = (*at, name)
            inner = (*place, "regex")
            values.faults.add(inner if values.document.has(inner) else place, f"the pattern {one}.", _HINT)


def _warn(values: Values, metrics: Mapping[str, Any]) -> None:
    place = (values.document.text((EVALUATION, "in")) or "").strip()
    if place and not _STORED.match(place):
        what = f"what is written to {shown('in', place)} is not stored"
        hint = "write TensorBoard summaries to $JOB_STATE_DIR/logs/tb, other files to $LOG_DIR"
        values.warn((EVALUATION, "in"), f"{what}{' or read' if unread_place(metrics) else ''}; {hint}")
    kind = str(metrics.get("type") or "")
    if sentence := unread_kind(kind):
        values.warn((EVALUATION, "type"), sentence)
    if kind == "regex_extractor" and not metrics.get("groups"):
        values.warn((EVALUATION, "type"), "regex_extractor finds nothing without groups, each with regex and scalars")
