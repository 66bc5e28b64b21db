"""One run as text: the rows of 2017 in their order, then what else there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.answers.metrics import ProgressAnswer
from trainyard.cli.columns import Paint, lines_of, pairs, schedule_text, size_text, spoken_seconds, text_of
from trainyard.cli.output import one_line
from trainyard.domain.hyperparameters import as_text
from trainyard.domain.states import Phase
from trainyard.errors import hint_of

_MAX_METRICS = 20


def run_rows(run: Mapping[str, Any], paint: Paint = str, terminal: int | None = None) -> list[str]:
    """Lay out one run: the rows of 2017 in their order, then what else there is.

    A run that went wrong also says why, and what to do. Sentences are wrapped to a terminal of so many columns.
    """
    rows = [
        ("ModelId", text_of(run, "model_id")),
        ("url", text_of(run, "url")),
        ("Name", text_of(run, "name")),
        ("State", paint(text_of(run, "state"))),
        ("Submitted_at", text_of(run, "submitted_at")),
        *_deletion_rows(run),
        *_identity_rows(run),
        *_phase_rows(run),
        *_progress_rows(run),
        *_transfer_rows(run.get("transfer") or {}),
        *_parameter_rows("Overrides", run.get("overrides") or {}),
        *_parameter_rows("Parameters", run.get("hyperparameters") or {}),
        *_parameter_rows("Env", run.get("env") or {}),
        *([("Secrets", ", ".join(map(one_line, run["secrets"])))] if run.get("secrets") else []),
        *_connection_rows(run.get("connections") or {}),
        *_schedule_rows(run),
        *_outcome_rows(run.get("outcome") or {}),
        *(("Watchdog", f"{text_of(alarm, 'then')}: {text_of(alarm, 'reason')}") for alarm in run.get("alarms") or ()),
        *_left_out_rows(run.get("left_out")),
        *_tracked_rows(run.get("tracked")),
        *_learner_rows(run),
        *_gpu_rows(run),
    ]
    return pairs(rows, terminal=terminal)


def _connection_rows(connections: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say which stores of a run are connections of the service's; nothing where none is."""
    shown = ", ".join(f"{store}: {text_of(connections, store)}" for store, name in connections.items() if name)
    return [("Connections", shown)] if shown else []


def _parameter_rows(label: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what a run trains with, or was triggered with in the place of the manifest's values; nothing without any."""
    reported = (f"{one_line(name)}={text_of({name: as_text(value)}, name)}" for name, value in values.items())
    return [(label, ", ".join(reported))] if values else []


def _identity_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say whose a run is and what exactly it was made of, as far as that is known."""
    labels = (
        ("Owner", "owner"),
        ("Repeats", "parent"),
        ("Experiment", "experiment"),
        ("Image", "image"),
        ("Data_version", "data_version"),
        ("Zip_sha256", "zip_sha256"),
    )
    return [*((label, text_of(run, key)) for label, key in labels if run.get(key)), *_code_rows(run.get("code"))]


def _deletion_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say when a run was deleted; nothing for any other."""
    times = f"{text_of(run, 'deleted_at')}, can be brought back until {text_of(run, 'deleted_until')}"
    return [("Deleted_at", times)] if run.get("deleted_at") else []


def _code_rows(code: Any) -> list[tuple[str, str]]:
    """Say which commit a run's program was packed from; nothing where that is not known."""
    if not isinstance(code, Mapping):
        return []
    branch = f" ({text_of(code, 'branch')})" if code.get("branch") else ""
    number = code.get("changed") or 0
    changed = f", {number} {'file' if number == 1 else 'files'} changed since" if number else ""
    return [("Commit", f"{text_of(code, 'commit')}{branch}{changed}")]


def _progress_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how far the program is, if it says so, and the newest values of its metrics."""
    progress, metrics = run.get("progress"), run.get("metrics") or {}
    rows = [("Progress", progress_text(ProgressAnswer.model_validate(progress)))] if progress else []
    values = [f"{one_line(name)}={value:.6g}" for name, value in metrics.items() if isinstance(value, int | float)]
    more = [f"and {len(values) - _MAX_METRICS} more"] if len(values) > _MAX_METRICS else []
    return [*rows, *([("Metrics", ", ".join([*values[:_MAX_METRICS], *more]))] if values else [])]


def progress_text(progress: ProgressAnswer | None) -> str:
    """Say how far a program is: `step 120 of 1000, 12 %, about 14m left`."""
    if progress is None:
        return ""
    of = f" of {progress.total:.15g}" if progress.total else ""
    percent = f", {100 * progress.fraction:.0f} %" if progress.fraction is not None else ""
    left = f", about {spoken_seconds(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"step {progress.step:.15g}{of}{percent}{left}"


def _schedule_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say when a run's training is trained again, and under which id where that is not the run's own."""
    schedule = run.get("schedule")
    if not isinstance(schedule, Mapping):
        return []
    training, state, following = (text_of(schedule, key) for key in ("training_id", "state", "next_at"))
    parts = [schedule_text(schedule), "" if state == "active" else state, f"next at {following}" if following else ""]
    of = f" (of {training})" if training != run.get("model_id") else ""
    return [("Schedule", ", ".join(filter(None, parts)) + of)]


def _learner_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how many learners a run has, if they are several."""
    learners = run.get("learners")
    return [("Learners", str(learners))] if isinstance(learners, int) and learners > 1 else []


def _gpu_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say what a run that has ended took of its account's GPUs, if it took any."""
    seconds = (run.get("outcome") or {}).get("gpu_seconds")
    return [("GPU_seconds", f"{seconds:g}")] if isinstance(seconds, int | float) and seconds > 0 else []


def _phase_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say where a run that is going is on its way, and what it waits for; that a program runs is said by its state."""
    phase, waiting = text_of(run, "phase"), text_of(run, "waiting")
    if not phase or phase == Phase.DONE or (phase == Phase.TRAINING and not waiting):
        return []
    return [("Phase", f"{phase}: {waiting}" if waiting else phase)]


def _transfer_rows(transfer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say how far the data of a run has been moved; totals that still grow have a plus sign."""
    if not transfer.get("doing"):
        return []
    more, left = "" if transfer.get("listed") else "+", transfer.get("seconds_left")
    parts = (
        f"{text_of(transfer, 'doing')} {text_of(transfer, 'files')} of {text_of(transfer, 'files_total')}{more} files",
        f"{size_text(transfer.get('bytes'))} of {size_text(transfer.get('bytes_total'))}{more}",
        f"{size_text(int(transfer.get('rate') or 0))}/s",
        "" if left is None else f"{left:.0f} s left",
    )
    return [("Transfer", ", ".join(filter(None, parts)))]


def _outcome_rows(outcome: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not outcome.get("code"):
        return [("Warning", lines_of(outcome.get("message")))] if outcome.get("message") else []
    exit_code = outcome.get("exit_code")
    rows = [
        ("Reason", f"{lines_of(outcome.get('message'))} ({outcome['code']})".strip()),
        ("Hint", lines_of(hint_of(outcome))),
        ("Exit_code", "" if exit_code is None else str(exit_code)),
    ]
    return [row for row in rows if row[1]]


def _left_out_rows(left_out: Any) -> list[tuple[str, str]]:
    """Say which files of a run are not in its bucket; nothing where all are."""
    if not isinstance(left_out, Mapping) or not left_out.get("count"):
        return []
    files = [row for row in left_out.get("files") or [] if isinstance(row, Mapping)]
    lines = [f"{text_of(row, 'name')} {text_of(row, 'reason')}" for row in files]
    more = f"{left_out['count']} files are not stored: learner-1/store-results.log in the bucket has all of them"
    return [("Left_out", "\n".join([*lines, *([more] if left_out["count"] > len(files) else [])]))]


def _tracked_rows(tracked: Any) -> list[tuple[str, str]]:
    """Say where a tracking server has a run, or warn that it does not; nothing for one that is not tracked."""
    if not isinstance(tracked, Mapping) or not tracked.get("connection"):
        return []
    if tracked.get("warning"):
        return [("Warning", text_of(tracked, "warning"))]
    server, experiment, run = (text_of(tracked, key) for key in ("connection", "experiment_id", "run_id"))
    return [("MLflow", f"{server}: experiment {experiment}, run {run}")]
