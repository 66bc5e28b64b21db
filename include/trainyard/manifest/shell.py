"""The words and operators of a shell command, as far as they can be distinguished without running it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_COMMAND = 20_000
# Longest first. Redirections belong to the words: they change neither what runs nor which exit code counts.
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[;&|()\n]")
_REDIRECTION = re.compile(r"\d*(&>>?|>>|>&|<&|<>|>\||<<<|>|<)(?!\()\d*-?")
_HEREDOC = re.compile(r"\d*<<(?!<)(?P<tabs>-?)[ \t]*(?P<quote>['\"]?)(?P<end>[\w.+-]+)(?P=quote)")
_ANSI_QUOTE = re.compile(r"\$'(?:[^'\\]|\\.)*+'", re.DOTALL)
_OPENING = {"$(": ")", "<(": ")", ">(": ")", "${": "}"}
_SUBSTITUTION = re.compile(r"'[^']*'|\\.|[$<]\((?!\()|`", re.DOTALL)


@dataclass(frozen=True)
class Token:
    """A word as it is written, or an operator; `start` and `end` are its place in the command."""

    text: str
    operator: bool
    start: int
    end: int


class UncertainError(ValueError):
    """The command has a quote or bracket that is not closed, or is too long to be looked at."""


def shell_tokens(command: str) -> list[Token]:
    """Split a command; comments, here documents and redirections are left out.

    Raise UncertainError for what the shell would not read either.
    """
    if len(command) > MAX_COMMAND:
        raise UncertainError
    try:
        return _Scanner(command).tokens()
    except RecursionError:  # thousands of brackets within each other
        raise UncertainError from None


def substituted(word: str) -> list[str]:
    """Return the commands whose output stands in a word: of `$( )`, `<( )` and backticks, not those within others."""
    found, at = [], 0
    while match := _SUBSTITUTION.search(word, at):
        at = match.end()
        if match[0] == "`":
            at = _closing(word, at, "`")
            found.append(word[match.end() : at - 1])
        elif match[0][-1] == "(":
            at = _bracket_end(word, at, ")")
            found.append(word[match.end() : at - 1])
    return found


def read_from(command: str) -> list[str]:
    """Return the commands whose output is read as input, `< <( )`."""
    scanner = _Scanner(command)
    scanner.tokens()
    return [text for source in scanner.sources for text in substituted(source)]


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._pending: list[re.Match[str]] = []
        self._found: list[Token] = []
        self.sources: list[str] = []

    def tokens(self) -> list[Token]:
        while self._at < len(self._text):
            self._step()
        if self._pending:
            raise UncertainError
        return self._found

    def _step(self) -> None:
        text, at = self._text, self._at
        if text[at] in " \t\r":
            self._at += 1
        elif text[at] == "#":
            self._at = _line_end(text, at)
        elif match := _HEREDOC.match(text, at):
            self._pending.append(match)
            self._at = match.end()
        elif match := _REDIRECTION.match(text, at):
            self._at = match.end()
            self._skip_target()
        elif match := _OPERATOR.match(text, at):
            self._operator(match)
        else:
            self._at = _word_end(text, at)
            if text[at : self._at] != "\\\n":
                self._found.append(Token(text[at : self._at], False, at, self._at))

    def _operator(self, match: re.Match[str]) -> None:
        # The line end before a here document separates commands like a semicolon, and is no layout.
        text = ";" if self._pending and match[0] == "\n" else match[0]
        self._found.append(Token(text, True, match.start(), match.end()))
        self._at = match.end()
        if match[0] == "\n":
            for heredoc in self._pending:
                self._at = _heredoc_end(self._text, self._at, heredoc)
            self._pending = []

    def _skip_target(self) -> None:
        while self._text[self._at : self._at + 1] in (" ", "\t"):
            self._at += 1
        if self._at < len(self._text) and not _OPERATOR.match(self._text, self._at):
            start, self._at = self._at, _word_end(self._text, self._at)
            if self._text.startswith("<(", start):
                self.sources.append(self._text[start : self._at])


def _word_end(text: str, at: int) -> int:
    start = at
    while at < len(text):
        if text[at] in " \t\r" or (_OPERATOR.match(text, at) and not _is_array(text, start, at)):
            break
        if at > start and text[at] in "<>" and text[at : at + 2] not in _OPENING:
            break
        at = _part_end(text, at)
    return max(at, start + 1)


def _is_array(text: str, start: int, at: int) -> bool:
    """Say whether a bracket opens the values of `name=(a b)`; they are read as a part of the word."""
    return text[at] == "(" and re.fullmatch(r"\w+\+?=", text[start:at]) is not None


def _part_end(text: str, at: int) -> int:
    """Return the end of what begins here: a character, an escape, a quote or a substitution."""
    if text[at] == "\\":
        return min(at + 2, len(text))
    if text[at] == "'":
        return _closing(text, at + 1, "'")
    if match := _ANSI_QUOTE.match(text, at):
        return match.end()
    if text[at] == '"':
        return _quoted_end(text, at + 1)
    if text[at] == "`":
        return _closing(text, at + 1, "`")
    if text[at : at + 2] in _OPENING:
        return _bracket_end(text, at + 2, _OPENING[text[at : at + 2]])
    return _bracket_end(text, at + 1, ")") if text[at] == "(" else at + 1


def _quoted_end(text: str, at: int) -> int:
    while at < len(text):
        if text[at] == '"':
            return at + 1
        at = _part_end(text, at) if text[at] in "\\`" or text[at : at + 2] in ("$(", "${") else at + 1
    raise UncertainError


def _bracket_end(text: str, at: int, closing: str) -> int:
    depth = 1
    while at < len(text):
        if text[at] == closing:
            depth -= 1
            if not depth:
                return at + 1
            at += 1
        elif text[at] == "(" and closing == ")":
            depth, at = depth + 1, at + 1
        else:
            at = _part_end(text, at)
    raise UncertainError


def _closing(text: str, at: int, quote: str) -> int:
    end = text.find(quote, at)
    if end < 0:
        raise UncertainError
    return end + 1


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _heredoc_end(text: str, at: int, heredoc: re.Match[str]) -> int:
    """Return where a here document ends, which is before the line end behind its closing word."""
    while at < len(text):
        end = _line_end(text, at)
        line = text[at:end]
        if (line.lstrip("\t") if heredoc["tabs"] else line) == heredoc["end"]:
            return end
        at = end + 1
    raise UncertainError
