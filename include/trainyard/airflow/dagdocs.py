"""What Airflow shows of a training's DAG: its name in lists, and under "Docs" what is really used, as Markdown.

Whatever a person wrote is shown and never obeyed: on one line in a code span, which knows no markup, or escaped.
"""

from __future__ import annotations

import re

from trainyard.airflow.links import results_place, training_page
from trainyard.airflow.programlines import visible
from trainyard.core.catalogue import Training
from trainyard.domain.hyperparameters import Value, as_text
from trainyard.domain.training import StoreRef
from trainyard.quantity import cpu_text, memory_text

_MAX_VALUE = 24
_MAX_POINT = 80
_MAX_SHOWN = 300
_FENCE = "`" * 8
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def display_name(training: Training) -> str:
    """Return the name of a training with what was set for it, or how many runs it has from the beginning."""
    point = ", ".join(f"{name}={_cut(as_text(value), _MAX_VALUE)}" for name, value in training.settings.items())
    name = visible(training.spec.name) or training.id
    if training.spec.search:
        point = f"search of {training.spec.search.metric}, {training.spec.search.trials} trials"
    elif training.runs:
        point = f"{len(training.runs)} runs"
    return f"{name} · {_cut(visible(point), _MAX_POINT)}" if point else name


def documentation(training: Training) -> str:
    """Return the Markdown of a training's DAG."""
    parts = [
        f"[**This training's page**](<{training_page(training.id)}>)",
        _escaped(training.spec.description),
        "\n".join(f"- {label}: {value}" for label, value in _facts(training) if value),
        _hyperparameters(training),
        "The manifest as it was registered, without its credentials:",
        f"{_FENCE}yaml\n{_fenced(training.manifest)}\n{_FENCE}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(training: Training) -> list[tuple[str, str]]:
    spec, plan = training.spec, training.plan
    amounts = f"{plan.gpus} GPU, {cpu_text(plan.cpu_millis)} CPU, {memory_text(plan.memory)} memory"
    return [
        ("Framework", _code(str(spec.framework))),
        ("Image", _code(plan.image)),
        ("Size", f"{_code(spec.resources.size)}, {amounts}" if spec.resources.size else amounts),
        ("Longest time", f"{plan.deadline_seconds / 3600:g} hours"),
        ("Account", _code(training.account)),
        ("Owner", _code(training.owner)),
        ("Author", _code(str(spec.author or ""))),
        ("Experiment", _code(training.experiment)),
        ("Schedule", _code(str(spec.schedule or ""))),
        ("Training data", _code(_bucket(spec.data))),
        ("Results of the first run", _code(results_place(spec.results, training.id))),
        ("Digest of the zip (SHA-256)", _code(training.zip_sha256)),
    ]


def _bucket(ref: StoreRef) -> str:
    return results_place(ref, "").rstrip("/")


def _hyperparameters(training: Training) -> str:
    values = training.spec.hyperparameters
    if not values:
        return ""
    rows = [f"- {_code(name)} = {_value(value)}{_origin(name, training)}" for name, value in values.items()]
    return "\n".join(["Hyperparameters:\n", *rows])


def _value(value: Value) -> str:
    return _code(as_text(value)) or "an empty text"


def _origin(name: str, training: Training) -> str:
    return ", set with the submission" if name in training.settings else ""


def _code(text: str | None) -> str:
    """Write a text as a code span, whose fence is longer than any run of backticks in it; nothing for an empty one."""
    shown = _cut(visible((text or "").replace("\t", " ")).strip(), _MAX_SHOWN)
    if not shown:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"


def _escaped(text: str) -> str:
    """Write lines of a text so that nothing in them is Markdown or HTML; an address may become a link to itself."""
    lines = (visible(line).strip().replace("\t", " ") for line in text.splitlines())
    return "\n".join(_PUNCTUATION.sub(r"\\\1", line) for line in lines)


def _fenced(text: str) -> str:
    shown = "\n".join(line if line.isprintable() else visible(line) for line in re.split("\r?\n", text))
    return shown.replace(_FENCE, "'" * len(_FENCE))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
