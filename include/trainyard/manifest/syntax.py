"""Why the text of a manifest is not YAML: what people did, and the hint that repairs it.

The parser notices a fault where it can go on no more, and names what it expected there. Nothing here quotes a value,
which may be a secret; keys are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from trainyard.errors import Problem
from trainyard.manifest.characters import HIDDEN, hidden_characters
from trainyard.manifest.compose import INVALID_KEY
from trainyard.manifest.source import indenting_tabs, is_json, lines_of

_NO_COLON = "a key has no colon with a space behind it"
_QUOTES = "Put the value in quotes."
_LAYOUT = "Line it up with its neighbours, with spaces."
_BACKSLASH = ("a backslash in double quotes escapes nothing known.", "Use single quotes.")
# What libyaml and PyYAML's own scanner say, and what people understand. Their texts may quote the file, and a secret.
_SENTENCES = tuple(
    (re.compile(pattern), message, hint)
    for pattern, message, hint in (
        ("could not find expected ':'", f"{_NO_COLON}.", "Write `key: value`."),
        ("mapping values are not allowed", "a colon stands where no key can be.", f"{_LAYOUT} {_QUOTES}"),
        ("found unexpected (end of stream|document)", "a quote is opened and never closed.", "Close it."),
        ("expected (<block end>|key|'-' indicator)", "a line is indented unlike its neighbours.", _LAYOUT),
        ("expected ',' or", "a bracket or brace is opened and not closed rightly.", "Close it, with commas between."),
        ("expected (the )?node content", "a value is missing, or a bracket stands where none can be.", _QUOTES),
        ("cannot start any token", "a value begins with a character that YAML keeps for itself.", _QUOTES),
        ("found unknown escape|invalid Unicode character escape|expected hexdecimal|escape sequence of", *_BACKSLASH),
        (r"chr\(\) arg not in range|too large to convert|signed integer", *_BACKSLASH),
        ("expected alphabetic or numeric", "a value begins with * or & and is neither alias nor anchor.", _QUOTES),
        ("sequence entries are not allowed", "a list begins on the line of its key.", "Begin it on the next line."),
        (
            "expected '?<document start>",
            "the text goes on behind the end of the manifest.",
            "Submit one manifest a file, with its first keys at the beginning of their lines.",
        ),
    )
)
_UNKNOWN = ("the text is not YAML.", "Check the indentation, the quotes and the colons.")
# These are noticed at some later place; they began where the context did.
_BEGAN_BEFORE = re.compile(
    "could not find expected ':'|found unexpected (end of stream|document)|expected (',' or|alphabetic or numeric)"
)
_KEY = re.compile(r"(?P<before> *(?:- +)*)(?P<key>[A-Za-z_][\w.-]{0,59}+) *:(?:[ \t]+(?P<value>.*)|)")
_STUCK_KEY = re.compile(r"(?P<before> *(?:- +)*)(?P<key>[A-Za-z_]\w{0,59}+):(?P<value>[^\s:/].*)")
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}\s*(#.*)?")
# What a value begins with that may go on below its key.
_OPENS = tuple("|>{[&*!#")
_HIDDEN_INDENTATION = re.compile(rf"^[ \t]*+{HIDDEN.pattern}\s*", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{|\{%|<%|(?<!\S)(@@?|%%?|#\{)[A-Za-z_]\w*(@@?|%%?|\})(?!\S)")
_MAX_LISTED = 20


class Line(NamedTuple):
    """A line that begins with a key: the column of the key, from 0, and the text behind its colon."""

    indent: int
    key: str
    value: str


def syntax_problems(text: str, error: Exception) -> list[Problem]:
    """Return what people did to a text that the parser refused with this error."""
    problem = _parser_problem(error)
    return [problem] if is_json(text) else _causes(text, problem)


def name_templates(text: str, problems: list[Problem]) -> list[Problem]:
    """Say of a key that is a map in braces that it is a template's marker, `{{ name }}`."""
    if not any(problem.message == INVALID_KEY for problem in problems):
        return problems
    lines = lines_of(text)
    return [
        (_template_problem(lines, each.line or 0) or each) if each.message == INVALID_KEY else each for each in problems
    ]


def _parser_problem(error: Exception) -> Problem:
    text = getattr(error, "problem", None) or ""
    sentences = ((message, hint) for pattern, message, hint in _SENTENCES if pattern.search(text))
    message, hint = next(sentences, _UNKNOWN)
    marks = ("context_mark", "problem_mark") if _BEGAN_BEFORE.search(text) else ("problem_mark", "context_mark")
    mark = next((found for name in marks if (found := getattr(error, name, None))), None)
    if mark is None:
        return Problem(message, hint)
    return Problem(message, hint, line=mark.line + 1, column=mark.column + 1)


def _causes(text: str, problem: Problem) -> list[Problem]:
    """Return what the parser's problem comes from; the problem itself where that is not known."""
    culprits = [*indenting_tabs(text), *_hidden_indentation(text)]
    culprits.sort(key=lambda each: each.line or 0)
    line = problem.line
    if culprits and (line is None or line >= (culprits[0].line or 0)):
        return culprits
    if line is None:
        return [problem]
    lines = lines_of(text)
    found = _hidden_near(lines, line) or [_cause(lines, problem, line, problem.column or 1) or problem]
    return [*found, *culprits]


def _template_problem(lines: list[str], line: int) -> Problem | None:
    """Return the problem of a template's marker in this line."""
    match = _TEMPLATE.search(_line(lines, line))
    if match is None:
        return None
    message = "a template's marker stands here; the template was not filled in."
    return Problem(message, "Write the real value in the place of the marker.", line=line, column=match.start() + 1)


def _cause(lines: list[str], problem: Problem, line: int, column: int) -> Problem | None:
    return (
        _fence(lines, line)
        or _template_problem(lines, line)
        or _template_problem(lines, line - 1)
        or _stuck_value(lines, line)
        or _text_and_map(lines, line)
        or _tab(lines, line, column)
        or (_not_indented(lines, line) if problem.message.startswith(_NO_COLON) else None)
    )


def _fence(lines: list[str], line: int) -> Problem | None:
    """Find the marks that Markdown puts around a block of text."""
    if not _line(lines, line).startswith("```"):
        return None
    message = "a line of Markdown stands here, which marks where a block of text begins or ends."
    return Problem(message, "Remove the lines with ```.", line=line, column=1)


def _stuck_value(lines: list[str], line: int) -> Problem | None:
    """Find a key like `name:value`, in this line or the one before, which YAML takes for text."""
    for each in (line - 1, line):
        match = _STUCK_KEY.fullmatch(_line(lines, each))
        if match is None:
            continue
        if _has_children(lines, each, len(match["before"])):
            message = f"{_NO_COLON}: text stands right behind the colon of {match['key']}, and its keys below."
            hint = f"Remove the text between `{match['key']}:` and the end of its line."
        else:
            message, hint = f"{_NO_COLON}.", f"Put a blank behind `{match['key']}:`, as in `key: value`."
        return Problem(message, hint, line=each, column=1)
    return None


def _text_and_map(lines: list[str], line: int) -> Problem | None:
    own, above = _key(_line(lines, line)), _key(_line(lines, _before(lines, line)))
    if own is None or above is None or not above.value or above.value.startswith(_OPENS) or own.indent <= above.indent:
        return None
    message = f"a colon stands where no key can be: {above.key} has text behind its colon and keys below it."
    hint = f"Keep the text or the keys; a key that is not part of {above.key} lines up with it."
    return Problem(message, hint, line=line, column=own.indent + 1)


def _tab(lines: list[str], line: int, column: int) -> Problem | None:
    if _line(lines, line)[column - 1 : column] != "\t":
        return None
    return Problem("a tab stands where only blanks may.", "Write a blank for it.", line=line, column=column)


def _not_indented(lines: list[str], line: int) -> Problem | None:
    """Find the lines of a value that stand no deeper than its key."""
    own = _line(lines, line)
    indent = len(own) - len(own.lstrip(" "))
    above = _key(_line(lines, _before(lines, line)))
    if above is None or indent > above.indent or _key(own):
        return None
    if not above.value or _BLOCK.fullmatch(above.value):
        message = f"the lines of {above.key} are not indented deeper than their key."
        return Problem(message, f"Indent them deeper than {above.key}.", line=line, column=indent + 1)
    hint = f"Write `key: value`; if the line goes on with the value of {above.key}, indent it deeper than {above.key}."
    return Problem(f"{_NO_COLON}.", hint, line=line, column=indent + 1)


def _hidden_indentation(text: str) -> Iterator[Problem]:
    for match in islice(_HIDDEN_INDENTATION.finditer(text), _MAX_LISTED):
        line = text.count("\n", 0, match.start()) + 1
        yield from _hidden_problems(match[0], line, "Indent with plain blanks.", 1)


def _hidden_near(lines: list[str], line: int) -> list[Problem]:
    found = (
        _hidden_problems(_line(lines, each), each, "Remove it, or write a plain blank.") for each in (line - 1, line)
    )
    return [problem for problems in found for problem in problems]


def _hidden_problems(text: str, line: int, hint: str, most: int = _MAX_LISTED) -> Iterator[Problem]:
    for found in islice(hidden_characters(text, line), most):
        yield Problem(f"{found.name} stands here, which nobody sees.", hint, line=found.line, column=found.column)


def _key(line: str) -> Line | None:
    match = _KEY.fullmatch(line.rstrip())
    return Line(len(match["before"]), match["key"], (match["value"] or "").strip()) if match else None


def _has_children(lines: list[str], line: int, indent: int) -> bool:
    below = next((text for text in lines[line:] if text.strip() and not text.lstrip().startswith("#")), "")
    deeper = len(below) - len(below.lstrip(" ")) > indent
    return (deeper and _key(below) is not None) or below[indent:].startswith("- ")


def _before(lines: list[str], line: int) -> int:
    """Return the number of the last line before this one that has a key or a value; 0 if there is none."""
    for number in range(min(line, len(lines)) - 1, 0, -1):
        text = lines[number - 1].strip()
        if text and not text.startswith("#"):
            return number
    return 0


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""
