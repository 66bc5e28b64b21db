"""Many runs from one manifest: `--set lr=0.1,0.01` puts other values in the place of its hyperparameters."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trainyard.domain.hyperparameters import MAX_TEXT_LENGTH, Value, as_text, of_text
from trainyard.domain.training import TrainingSpec
from trainyard.errors import Problem, TrainyardError

MAX_RUNS = 100
_FORM = "Write it as --set lr=0.1,0.01; a value with a comma goes in double quotes: --set 'layers=\"128,64\",256'."
# As in a file of comma-separated values.
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*+)"\s*(?=,|$)')


@dataclass(frozen=True)
class Grid:
    """Hyperparameters by name, each with the texts of the values it takes in turn."""

    values: Mapping[str, tuple[str, ...]]

    @property
    def size(self) -> int:
        """How many runs it makes of one manifest; 1 for an empty grid."""
        count = 1
        for texts in self.values.values():
            count *= len(texts)
        return count

    def points(self, spec: TrainingSpec) -> list[dict[str, Value]]:
        """Return the hyperparameters to set for each run, the last name changing fastest.

        A value is read as what the manifest's own is: a number stays a number. Raise TrainyardError C101 with every
        name that the manifest does not have and every value that does not fit.
        """
        faults: list[Problem] = []
        axes = [[(name, _typed(name, text, spec, faults)) for text in texts] for name, texts in self.values.items()]
        if faults:
            raise TrainyardError.refused(faults)
        return [dict(point) for point in itertools.product(*axes)]


def read_grid(fields: Iterable[str]) -> Grid:
    """Read fields such as `lr=0.1,0.01`. Raise TrainyardError C110 with everything that cannot be read."""
    found: dict[str, tuple[str, ...]] = {}
    faults: list[Problem] = []
    for field in fields:
        name, equals, texts = field.partition("=")
        name, values = name.strip(), tuple(_values(texts))
        if fault := _fault(name, equals, values, found):
            faults.append(Problem(fault, _FORM, path="set", seen=field, code="C110"))
        else:
            found[name] = values
    if faults:
        raise TrainyardError.refused(faults)
    return Grid(found)


def spec_with(spec: TrainingSpec, values: Mapping[str, Value]) -> TrainingSpec:
    return replace(spec, hyperparameters={**spec.hyperparameters, **values}) if values else spec


def annotated(manifest: str, values: Mapping[str, Value]) -> str:
    """Return the manifest's text for people, headed by what was set in the place of its own values."""
    texts = {name: " ".join(as_text(value).split()) for name, value in values.items()}
    lines = [f"# {name}: {text} (set with the submission)\n" for name, text in texts.items()]
    return "".join([*lines, manifest])


def _values(texts: str) -> Iterator[str]:
    """Split at the commas outside of double quotes, and take the quotes around a value off; `""` in them is one."""
    at = 0
    while at <= len(texts):
        quoted = _QUOTED.match(texts, at)
        end = texts.find(",", at)
        end = quoted.end() if quoted else len(texts) if end < 0 else end
        yield quoted[1].replace('""', '"') if quoted else texts[at:end].strip()
        at = end + 1


def _fault(name: str, equals: str, values: Sequence[str], found: Mapping[str, object]) -> str:
    if not name or not equals:
        return "a hyperparameter to set has no name or no =."
    if name in found:
        return f"{name} is set twice."
    if any(value.startswith('"') and value.count('"') == 1 for value in values):
        return f"{name} has a quote that is opened and never closed."
    if "" in values:
        return f"{name} has an empty value."
    return f"{name} has a value twice." if len(set(values)) < len(values) else ""


def _typed(name: str, text: str, spec: TrainingSpec, faults: list[Problem]) -> Value:
    known = spec.hyperparameters
    if name not in known:
        faults.append(_unknown(name, known))
        return text
    kind = _KINDS[type(known[name])]
    try:
        return of_text(text, type(known[name]))
    except ValueError:
        message, hint = f"{name} is {kind} in the manifest.", f"Give {kind}, such as {as_text(known[name])}."
        faults.append(Problem(message, hint, path=f"set.{name}", seen=text))
        return text


def _unknown(name: str, known: Mapping[str, object]) -> Problem:
    message = f"the manifest has no hyperparameter {name}."
    hint = f"Set one of {', '.join(known)}." if known else "Give the manifest hyperparameters first."
    return Problem(message, hint, path=f"set.{name}")


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: f"text of at most {MAX_TEXT_LENGTH} characters",
}
