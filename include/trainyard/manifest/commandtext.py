"""The text of a command as the shell gets it: which of its line ends separate commands, and which are only layout.

FfDL made a blank of every line end. A block after `>` that is indented deeper further down is one command to its
writer, while YAML keeps its line ends; so is a line that begins with an option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from trainyard.manifest.shell import Token, UncertainError, shell_tokens

# A line that begins with one of these is an error to every shell, so that it can only go on with the one above it.
_OPERATOR = re.compile(r"[ \t]*(\|\|?|&&)")
# What continues a line: a backslash with a blank behind it, which the shell takes for a blank, and Windows' own sign.
_CONTINUES = re.compile(r"[ \t](?:\\[ \t]+|\^[ \t]*)$")
_OPTION = re.compile(r"[ \t]*(-{1,2}[A-Za-z][\w.-]*)")
# Inside these, lines are commands of their own even where they are indented.
_COMPOUND = {"if", "for", "while", "until", "case", "select", "function", "{", "(", "[["}
_WORDS_SHOWN = 3


@dataclass(frozen=True)
class CommandText:
    """The command, and the words before which a line end was read as a blank."""

    text: str
    joined_before: tuple[str, ...] = ()

    @property
    def warning(self) -> str | None:
        if not self.joined_before:
            return None
        words = ", ".join(self.joined_before[:_WORDS_SHOWN]) + (" …" if self.joined_before[_WORDS_SHOWN:] else "")
        return f"the command goes on over line ends, which are read as blanks (before {words})"


def command_text(written: str, *, folded: bool) -> CommandText:
    """Return a command without carriage returns and without the line ends that would tear it.

    `folded` says that it was a block after `>`.
    """
    text = written.replace("\r\n", "\n").rstrip("\r\n \t").strip()
    try:
        tokens = shell_tokens(text) if "\n" in text else []
    except UncertainError:
        return CommandText(text)
    lines_are_commands = not folded or any(not each.operator and each.text in _COMPOUND for each in tokens)
    ends = [
        end
        for before, end in pairwise(tokens)
        if _ends_a_word(before, end, text) and _goes_on(text, end, lines_are_commands)
    ]
    return _joined(text, [end.start for end in ends])


def _ends_a_word(before: Token, end: Token, text: str) -> bool:
    """Say whether a token is a line end behind a word, with no comment between."""
    return end.text == "\n" and end.operator and not before.operator and "#" not in text[before.end : end.start]


def _goes_on(text: str, end: Token, lines_are_commands: bool) -> bool:
    below = text[end.end :].split("\n", 1)[0]
    own = text[: end.start].rpartition("\n")[2]
    if _OPTION.match(below) or _OPERATOR.match(below) or _CONTINUES.search(own):
        return True
    if lines_are_commands or not below.strip() or below.lstrip().startswith("#"):
        return False
    return below.startswith((" ", "\t")) or own.startswith((" ", "\t"))


def _joined(text: str, ends: list[int]) -> CommandText:
    parts, words, at = [], [], 0
    for end in ends:
        parts.append(_CONTINUES.sub("", text[at:end]).rstrip())
        at = end + 1 + len(text[end + 1 :]) - len(text[end + 1 :].lstrip())
        words.append(text[at:].split(None, 1)[0][:40])
    return CommandText(" ".join([*parts, text[at:]]), tuple(words))
