"""What a manifest says of a run's metrics: where they are written, and the patterns that find them in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_PATTERNS = 50
MAX_PATTERN_LENGTH = 2000
MAX_LINES = 20
_FFDL_LINES = 4
# What one pattern's automaton may take; RE2 refuses a larger one, and starts it again when its cache is full.
_MAX_PATTERN_BYTES = 1024 * 1024

# The macros of regex_extractor: `%{FLOAT}`, or `%{FLOAT:name}` for a group of that name.
_FLOAT = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_HEX = r"0[xX][0-9a-fA-F]+"
_INT = r"[-+]?\d+"
MACROS: Mapping[str, str] = {
    "FLOAT": rf"(?:{_FLOAT}|[-+]?(?:[nN][aA][nN]|[iI][nN][fF]))",
    "INT": _INT,
    "INT_ANY": rf"(?:{_HEX}|{_INT})",
    "HEX": _HEX,
    "GLOG_STAMP": r"[IWEF]\d{4} \d{2}:\d{2}:\d{2}(?:\.\d+)?",
    "TIMESTAMP": r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[-+]\d{2}:?\d{2})?",
}
_MACRO = re.compile(r"%\{(\w+)(?::(\w+))?\}")
_PLACE = re.compile(r"\$\{?(LOG_DIR|RESULT_DIR|JOB_STATE_DIR)\}?(?:/(.*))?|/job/(logs|result|state)(?:/(.*))?")
_FOLDERS = {"LOG_DIR": "logs", "RESULT_DIR": "result", "JOB_STATE_DIR": "state"}
_FFDL_LOG = "logs/training-log.txt"
LOG_OF = "logs/learner-{}/training-log.txt"
TRAINING_LOG = LOG_OF.format(1)
KINDS = ("logger", "tensorboard", "regex_extractor", "emetrics_file", "file")
_SMALL = ("loss", "error", "err", "perplexity", "rmse", "mae", "mse")


class PatternError(ValueError):
    """Raised for a pattern that cannot be used; the message goes on after "the pattern"."""


@dataclass(frozen=True)
class LogPattern:
    """A pattern over so many lines of a log at a time, and which metrics its groups are.

    `values` maps a metric to the name or number of a group, or to a text that is its value; `step` is such a group too.
    Once an `anchored` pattern has matched, all lines up to there are used up.
    """

    pattern: str
    values: Mapping[str, str]
    step: str = ""
    lines: int = 1
    anchored: bool = False


@dataclass(frozen=True)
class MetricRules:
    """What is read beside the places that are always looked at; paths are relative to the run's folder.

    `own` is where the folders that are each learner's own lie there, of the one whose metrics are the run's.
    """

    patterns: tuple[LogPattern, ...] = ()
    own: str = ""
    log: str = TRAINING_LOG
    line_files: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def is_better_small(name: str) -> bool:
    """Say whether a metric of this name is the better the smaller it is, as far as its name says."""
    return any(word in name.lower() for word in _SMALL)


def rules_of(metrics: Mapping[str, Any], patterns: Mapping[str, str]) -> MetricRules:
    """Read `evaluation_metrics` and `metrics` of a manifest; what cannot be used of them is a warning."""
    kind, learner = str(metrics.get("type") or ""), learner_of(metrics)
    own = "" if learner == 1 else f"learners/{learner}/"
    log = f"{own}{LOG_OF.format(learner)}"
    place = _place_of_learner(str(metrics.get("in") or ""), own, log)
    warnings = [sentence for sentence in (unread_kind(kind), unread_place(metrics)) if sentence]
    groups, faults = _usable(group_patterns(metrics) if kind == "regex_extractor" else iter(()))
    named, named_faults = _usable(named_patterns(patterns))
    return MetricRules(
        patterns=(*groups, *named)[:MAX_PATTERNS],
        own=own,
        log=(place or log) if kind == "regex_extractor" else log,
        line_files=(place,) if place and kind in ("emetrics_file", "file") else (),
        summaries=(place,) if place and kind == "tensorboard" else (),
        warnings=(*warnings, *faults, *named_faults),
    )


def learner_of(metrics: Mapping[str, Any]) -> int:
    """Return whose metrics those of a run are among its learners."""
    learner = metrics.get("learner")
    return learner if type(learner) is int and learner > 0 else 1


def _place_of_learner(text: str, own: str, log: str) -> str:
    """Return a place of a manifest as a path in the run's folder; the folder of results is all learners'."""
    place = place_of(text)
    if place == TRAINING_LOG:
        return log
    return place if not place or place.startswith("result") else f"{own}{place}"


def unread_kind(kind: str) -> str:
    """Say that a type of evaluation_metrics is not read; empty for one that is."""
    if not kind or kind in KINDS:
        return ""
    return f"evaluation_metrics of the type {kind[:60]} are not read; types that are: {', '.join(KINDS)}"


def unread_place(metrics: Mapping[str, Any]) -> str:
    """Say that what is written to `in` is not read; empty where it is."""
    place = str(metrics.get("in") or "").strip()
    if not place or place_of(place):
        return ""
    return f"what is written to {place[:200]} is not read; write to $LOG_DIR, or summaries to $JOB_STATE_DIR/logs/tb"


def place_of(text: str) -> str:
    """Return a place of a manifest as a path in the run's folder, empty for one that is not in it.

    FfDL's `$JOB_STATE_DIR/logs/training-log.txt` is the log.
    """
    found = _PLACE.fullmatch(text.strip())
    if not found:
        return ""
    folder = _FOLDERS[found[1]] if found[1] else found[3]
    parts = [part for part in (found[2] or found[4] or "").split("/") if part not in ("", ".")]
    if ".." in parts:
        return ""
    if folder == "state" and "/".join(parts) == _FFDL_LOG:
        return TRAINING_LOG
    return "/".join([folder, *parts])


def named_patterns(patterns: Mapping[str, str]) -> Iterator[tuple[str, LogPattern | PatternError]]:
    """Yield for each metric of `metrics` its pattern, or why it cannot be used."""
    for name, text in list(patterns.items())[:MAX_PATTERNS]:
        try:
            yield name, _named_pattern(name, text)
        except PatternError as error:
            yield name, error


def _named_pattern(name: str, text: str) -> LogPattern:
    pattern = expanded(text)
    groups, count = groups_of(pattern)
    if not count:
        raise PatternError("has no group: put brackets around the value, as in 'loss: ([0-9.]+)'")
    value = "value" if "value" in groups else str(next(at for at in range(1, count + 1) if at != groups.get("step")))
    return LogPattern(pattern, {name: value}, "step" if "step" in groups and count > 1 else "")


def group_patterns(metrics: Mapping[str, Any]) -> Iterator[tuple[str, LogPattern | PatternError]]:
    """Yield for each of regex_extractor's groups its pattern, or why it cannot be used."""
    groups, lines = metrics.get("groups"), metrics.get("line_lookahead", metrics.get("linelookahead"))
    lines = max(1, min(lines, MAX_LINES)) if type(lines) is int else _FFDL_LINES
    for name, group in list(groups.items())[:MAX_PATTERNS] if isinstance(groups, Mapping) else ():
        try:
            yield name, _group_pattern(str(name), group, lines)
        except PatternError as error:
            yield name, error


def _group_pattern(name: str, group: Any, lines: int) -> LogPattern:
    if not isinstance(group, Mapping) or not isinstance(group.get("regex"), str):
        raise PatternError("is missing: write it as regex")
    pattern = expanded(group["regex"])
    pattern = f"(?ms)^(?:{pattern})"
    groups, count = groups_of(pattern)
    known = {*groups, *map(str, range(1, count + 1))}
    scalars = group.get("scalars") or group.get("values")
    if not isinstance(scalars, Mapping) or not scalars:
        raise PatternError("finds nothing: name its metrics below scalars, each with value: $GROUP")
    values = {f"{name}/{metric}": _reference(item, known) for metric, item in scalars.items()}
    times = group.get("etimes")
    step = times.get("iteration") if isinstance(times, Mapping) else None
    return LogPattern(pattern, values, _reference(step, known) if step else "", lines, anchored=True)


def _reference(item: Any, known: set[str]) -> str:
    """Return the group that `$name` stands for; another text stands for itself, and comes back after `=`."""
    text = str(item.get("value", "")) if isinstance(item, Mapping) else str(item)
    if not text.startswith("$"):
        return f"={text}"
    if text[1:] not in known:
        raise PatternError(f"has no group {text[1:61]}")
    return text[1:]


def expanded(pattern: str) -> str:
    """Return a pattern with its macros replaced; raise PatternError for one that there is not, or that is too long."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise PatternError(f"is longer than {MAX_PATTERN_LENGTH} characters")

    def macro(found: re.Match[str]) -> str:
        if found[1] not in MACROS:
            raise PatternError(f"has a macro {found[0][:60]} that is not known; there are {', '.join(MACROS)}")
        return f"(?P<{found[2]}>{MACROS[found[1]]})" if found[2] else MACROS[found[1]]

    return _MACRO.sub(macro, pattern)


def groups_of(pattern: str) -> tuple[Mapping[str, int], int]:
    """Return a pattern's named groups and how many groups it has; raise PatternError if it cannot be used.

    The command line alone has no RE2: there Python's own says what is wrong, and the service looks again.
    """
    try:
        found = compiled(pattern)
    except ImportError:
        return _groups_by_python(pattern)
    return {name.decode(): at for name, at in found.groupindex.items()}, found.groups


def compiled(pattern: str) -> Any:
    """Compile a pattern by RE2, over bytes: it takes time in proportion to the text, whatever the pattern.

    Raise PatternError for one that RE2 cannot take.
    """
    import re2

    options = re2.Options()
    options.log_errors, options.max_mem = False, _MAX_PATTERN_BYTES
    # A log has bytes of any kind, and none of them may hide a line from `.`.
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"cannot be used: {reason[:200]}") from None
    except UnicodeEncodeError:
        raise PatternError("holds characters that are none") from None


def _groups_by_python(pattern: str) -> tuple[Mapping[str, int], int]:
    try:
        found = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternError(f"cannot be used: {error}") from None
    return found.groupindex, found.groups


def _usable(found: Iterator[tuple[str, LogPattern | PatternError]]) -> tuple[list[LogPattern], list[str]]:
    patterns: list[LogPattern] = []
    faults: list[str] = []
    for name, one in found:
        if isinstance(one, PatternError):
            faults.append(f"the pattern of {str(name)[:60]} {one}")
        else:
            patterns.append(one)
    return patterns, faults
