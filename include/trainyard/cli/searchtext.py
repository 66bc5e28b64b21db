"""A search as lines of text: how far it is, its best trials, and which hyperparameters matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainyard.cli.columns import columns, pairs
from trainyard.cli.output import one_line
from trainyard.domain.hyperparameters import as_text

_BAR = 20
_MAX_VALUE = 30


def search_lines(search: Mapping[str, Any], top: int) -> list[str]:
    """Lay out a search with so many of its best trials."""
    trials = search.get("trials") or []
    lines = pairs([row for row in _rows(search, trials) if row[1]])
    if shown := _best_first(trials, str(search.get("goal")))[:top]:
        lines += ["", *_trial_table(shown)]
    if importances := search.get("importances") or {}:
        lines += ["", "What matters", *_bars(importances)]
    return lines


def _rows(search: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    counts = search.get("counts") or {}
    detail = ", ".join(f"{count} {state}" for state, count in counts.items())
    values = [trial["value"] for trial in trials if trial.get("value") is not None]
    ended = sum(count for state, count in counts.items() if state == "completed")
    hint = "no trial has a value of it; `trainyard metrics ID` shows what a run reports" if ended and not values else ""
    best, over = search.get("best"), search.get("over")
    return [
        ("Experiment", one_line(str(search.get("experiment") or ""))),
        ("Training", str(search.get("training_id"))),
        ("State", f"{search.get('state')}{f': {over}' if over else ''}"),
        ("Metric", one_line(f"{search.get('metric')}, {search.get('goal')}{f' ({hint})' if hint else ''}")),
        ("Trials", f"{len(trials)} of {search.get('total')}{f' ({detail})' if detail else ''}"),
        ("Best", f"{_number(best.get('value'))}, {best.get('model_id')}" if best else ""),
        ("GPU_hours", f"{search.get('gpu_hours') or 0.0:.2f}"),
        ("Time_left", _duration(search.get("seconds_left"))),
        ("Note", one_line(str(search.get("note") or ""))),
    ]


def _best_first(trials: Sequence[Mapping[str, Any]], goal: str) -> list[Mapping[str, Any]]:
    having = [trial for trial in trials if trial.get("value") is not None and trial.get("state") == "completed"]
    return sorted(having, key=lambda trial: trial["value"], reverse=goal == "maximize")


def _trial_table(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for trial in trials for name in trial.get("point") or {}))
    rows = [
        (
            str(trial["number"]),
            str(trial["model_id"]),
            _number(trial["value"]),
            *(_value((trial.get("point") or {}).get(name)) for name in names),
        )
        for trial in trials
    ]
    return columns(("Trial", "guid", "value", *names), rows)


def _bars(importances: Mapping[str, float]) -> list[str]:
    rows = [(name, f"{share:.0%}", "#" * round(share * _BAR)) for name, share in importances.items()]
    return columns(("name", "share", ""), rows)


def _value(value: Any) -> str:
    if value is None:
        return ""
    return _number(value) if isinstance(value, float) else one_line(as_text(value))[:_MAX_VALUE]


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else ""


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return ""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"about {seconds:.0f} s"
    return f"about {minutes} min" if minutes < 120 else f"about {minutes / 60:.1f} h"
