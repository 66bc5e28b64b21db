"""Report characters in a manifest's values that nobody sees: a key id with one is refused by every store."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainyard.manifest.characters import HIDDEN, HiddenCharacter, character_name
from trainyard.manifest.document import Path
from trainyard.manifest.masking import brief
from trainyard.manifest.metrics import EVALUATION, PATTERNS
from trainyard.manifest.nodes import Scalar
from trainyard.manifest.shell import UncertainError, shell_tokens
from trainyard.manifest.values import Values

# Emoji and the scripts of many languages are joined by these; a name may have them.
_JOINERS = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
_LAYOUT = re.compile(r"[\t\n\r]")
_REMOVE = "Remove it, or write a plain blank."
# What word processors make of - ' and ": to a shell they are letters.
_TYPOGRAPHIC = re.compile("[\u2010-\u2015\u2018-\u201f\u2026\u2212]")
_QUOTES = re.compile(r"['\"`\\$(]")


def check_hidden(values: Values) -> None:
    """Note every hidden character by its name and place: a fault, or a warning where it may be meant."""
    for path, scalar in values.document.scalars():
        if path == values.layout.command:
            _report_command(values, path, scalar)
            _warn_of_typography(values, path, scalar)
        elif scalar.hidden:
            _report(values, path, _reported_characters(values, path, scalar), prose=_is_prose(values, path))
        elif "connection" in path and (found := _LAYOUT.search(scalar.text.strip("\r\n"))):
            message = f"{_name(path)} holds {character_name(found[0])}."
            values.faults.add(path, message, "Write it on the line of its key, without | or >.")


def _is_prose(values: Values, path: Path) -> bool:
    """Say whether people read a value, and no program does."""
    layout = values.layout
    if path in (layout.name, layout.description) or path[:1] in ((EVALUATION,), (PATTERNS,)):
        return True
    author = layout.author
    return (author is not None and path[: len(author)] == author) or (
        layout.hyperparameters is not None and path[: len(layout.hyperparameters)] == layout.hyperparameters
    )


def _reported_characters(values: Values, path: Path, scalar: Scalar) -> list[HiddenCharacter]:
    """Return the characters that are reported: not those that prose needs."""
    if not _is_prose(values, path):
        return list(scalar.hidden)
    if path == values.layout.name:
        return [each for each in scalar.hidden if not _JOINERS.fullmatch(each.character)]
    return [each for each in scalar.hidden if not each.belongs_to_prose]


def _report(values: Values, path: Path, found: list[HiddenCharacter], *, prose: bool) -> None:
    if not found:
        return
    first = found[0]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    message = f"{_name(path)} holds {first.name}{more}, which nobody sees"
    if prose:
        values.warn(path, f"{message} (column {first.column})", line=first.line)
    else:
        values.faults.add(path, f"{message}.", _REMOVE, place=(first.line, first.column))


def _report_command(values: Values, path: Path, scalar: Scalar) -> None:
    """Refuse what the shell takes for a part of a word; in quotes, comments and here documents it may be meant."""
    bare = set(_in_bare_words(scalar.text, HIDDEN))
    found = [match.start() for match in HIDDEN.finditer(scalar.text)]
    placed = list(zip(found, scalar.hidden, strict=False))
    _report(values, path, [hidden for at, hidden in placed if at in bare], prose=False)
    _report(values, path, [hidden for at, hidden in placed if at not in bare], prose=True)


def _warn_of_typography(values: Values, path: Path, scalar: Scalar) -> None:
    at = next(_in_bare_words(scalar.text, _TYPOGRAPHIC), None)
    if at is not None:
        values.warn(
            path,
            f"command holds {character_name(scalar.text[at])}, which the shell takes for a letter; "
            "write - and plain quotes as on a keyboard",
        )


def _in_bare_words(command: str, wanted: re.Pattern[str]) -> Iterator[int]:
    """Yield the places of such characters outside of quotes, comments and here documents."""
    if not wanted.search(command):
        return
    try:
        words = [token for token in shell_tokens(command) if not token.operator and not _QUOTES.search(token.text)]
    except UncertainError:
        return
    for word in words:
        yield from (match.start() for match in wanted.finditer(command, word.start, word.end))


def _name(path: Path) -> str:
    return brief(next((step for step in reversed(path) if isinstance(step, str)), "the value"))
