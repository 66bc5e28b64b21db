"""Many runs from one manifest: `--set lr=0.1,0.01` puts other values in the place of its hyperparameters."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trainyard.domain.hyperparameters import MAX_TEXT_LENGTH, Value, as_text, of_text
from trainyard.domain.training import TrainingSpec
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.document import Document, read_document

MAX_RUNS = 100
_FORM = (
    "Write it as --set lr=0.1,0.01 or --set 'lr=[0.1, 0.01]'; a value with a comma goes in double quotes: "
    "--set 'layers=\"128,64\",256'; ranges are --set layers=1..6 and --set lr=0.001..0.1:log:5."
)
# As in a file of comma-separated values.
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*+)"\s*(?=,|$)')


_NUMBER = r"[+-]?(?:[0-9]++(?:\.(?!\.)[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_RANGE = re.compile(rf"\s*+({_NUMBER})\.\.({_NUMBER})((?::\w*+)*+)\s*+")
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_DIGITS = 6


@dataclass(frozen=True)
class Spread:
    """Some numbers from `low` to `high`, both included, as far apart from each other; with `log`, by their ratio."""

    low: float
    high: float
    count: int
    log: bool = False

    def __len__(self) -> int:
        return self.count

    def numbers(self) -> Iterator[float]:
        """Yield the numbers, both ends exactly, those between with six digits."""
        for index in range(self.count):
            share = index / (self.count - 1)
            if index in (0, self.count - 1):
                yield self.high if index else self.low
            elif self.log:
                yield float(f"{self.low * (self.high / self.low) ** share:.{_DIGITS}g}")
            else:
                yield float(f"{self.low + (self.high - self.low) * share:.{_DIGITS}g}")

    def texts(self, *, whole: bool) -> tuple[str, ...]:
        """Return the values as people write them; whole numbers, once each, where only these can be."""
        found = ((str(round(number)) if whole else f"{number:.15g}") for number in self.numbers())
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Grid:
    """Hyperparameters by name, each with the texts of the values it takes in turn, or a spread of numbers."""

    values: Mapping[str, tuple[str, ...] | Spread]

    @property
    def size(self) -> int:
        """How many runs it makes of one manifest at most; 1 for an empty grid."""
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
        axes = [
            [(name, _typed(name, text, spec, faults)) for text in _texts(texts, spec.hyperparameters.get(name))]
            for name, texts in self.values.items()
        ]
        if faults:
            raise TrainyardError.refused(faults)
        return [dict(point) for point in itertools.product(*axes)]


def read_grid(fields: Iterable[str]) -> Grid:
    """Read fields such as `lr=0.1,0.01`. Raise TrainyardError C110 with everything that cannot be read."""
    found: dict[str, tuple[str, ...] | Spread] = {}
    faults: list[Problem] = []
    for field in fields:
        name, equals, texts = field.partition("=")
        name, values = name.strip(), tuple(_values(texts))
        if as_range := _RANGE.fullmatch(texts):
            spread = _spread(as_range)
            if isinstance(spread, Spread) and name not in found and name:
                found[name] = spread
            else:
                message, hint = spread if isinstance(spread, tuple) else (f"{name} is set twice.", _FORM)
                faults.append(Problem(message, hint, path="set", seen=field, code="C110"))
        elif fault := _fault(name, equals, values, found):
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


def _spread(found: re.Match[str]) -> Spread | tuple[str, str]:
    """Read a range such as `0.001..0.1:log:5`; return message and hint where it is none."""
    first, last, options = found[1], found[2], found[3].split(":")[1:]
    low, high, log = float(first), float(last), "log" in options
    counts = [option for option in options if option != "log"]
    if len(options) > 2 or len(counts) > 1 or not all(re.fullmatch("[0-9]{1,4}", count) for count in counts):
        return f"{first}..{last} has options that are not known.", f"Write {first}..{last}:5 or {first}..{last}:log:5."
    if not low < high or high - low == float("inf") or (log and low <= 0):
        message = "a log range begins above 0." if log and low < high else "a range goes from the lower number up."
        return message, "Write it as 0.001..0.1:log:5, for five values."
    if not counts and not log and _WHOLE.fullmatch(first) and _WHOLE.fullmatch(last):
        return Spread(low, high, min(int(last) - int(first) + 1, MAX_RUNS + 1))
    if not counts:
        hint = f"Write {first}..{last}{':log' if log else ''}:5 for five values, or a search in the manifest."
        return f"how many values of {first}..{last} are there?", hint
    if not 2 <= int(counts[0]) <= MAX_RUNS:
        return f"{first}..{last} has {counts[0]} values.", f"Write a number from 2 to {MAX_RUNS}."
    return Spread(low, high, int(counts[0]), log)


def _texts(values: tuple[str, ...] | Spread, own: Value | None) -> tuple[str, ...]:
    return values.texts(whole=type(own) is int) if isinstance(values, Spread) else values


def _values(texts: str) -> Iterator[str]:
    """Split a list as YAML has it, or at the commas outside of double quotes, whose quotes are taken off."""
    if texts.strip().startswith("["):
        try:
            document = read_document(texts.encode("utf-8", "surrogatepass"), len(texts) * 4 + 1)
        except TrainyardError:
            yield from _parts(texts)
            return
        if isinstance(document.data, list):
            yield from (_item(document, index) for index in range(len(document.data)))
            return
    yield from _parts(texts)


def _item(document: Document, index: int) -> str:
    return document.text((index,)) or ""  # a list in the list is no value


def _parts(texts: str) -> Iterator[str]:
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
