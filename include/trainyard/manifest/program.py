"""Find the program file that a command needs, as far as that can be found without running a shell."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator

from trainyard.errors import Problem
from trainyard.manifest.archive import ArchiveEntry
from trainyard.manifest.characters import HIDDEN
from trainyard.manifest.exitcode import lost_in_script
from trainyard.manifest.masking import shown

# Each runner with its options that take no value; any other option makes us unsure which word is the script.
_RUNNERS = (
    (re.compile(r"(?:/.*/)?python\d*(\.\d+)?"), re.compile(r"-[uBOEsSvdiqI]+")),
    (re.compile(r"(?:/.*/)?(bash|sh|dash|zsh|ksh)"), re.compile(r"-[xeuv]+")),
    (re.compile(r"(?:/.*/)?(lua\d*(\.\d+)?|luajit|th|perl|Rscript|node)"), re.compile(r"(?!)")),
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PREFIXES = {"exec", "nohup", "time", "env"}
# What may run before the program without making, moving or fetching its file.
_HARMLESS = {"pip", "pip3", "export", "echo", "mkdir", "chmod", "ls", "pwd", "date", "nvidia-smi", "set"}
_SOURCES = {"source", "."}
_STARTS = ("./", "$MODEL_DIR/", "${MODEL_DIR}/")
_MAX_COMMAND = 8192
# A script may have many lines of one kind.
_MAX_LOST = 2
_MODEL_DIR = re.compile(r"^\$(MODEL_DIR|\{MODEL_DIR\})/")
_SHELLS_BUSINESS = re.compile(r"[`*?\[\]{}<>~!$()#]")
# A carriage return behind `#!/bin/bash` names no interpreter.
_UNIX_LINE_ENDS = "Save it with Unix line ends (LF), as with `sed -i 's/\\r$//' {}` or dos2unix, and pack it again."


def program_of(command: str) -> str | None:
    """Return the path in the zip of the first program that a command runs, None where that is not certain."""
    if len(command) > _MAX_COMMAND:
        return None
    for words, fallback in _commands(command):
        if any(">" in word for word in words[1:]) and words[0] in _HARMLESS:
            return None  # it may write the program
        if words and words[0] not in _HARMLESS:
            return None if fallback else _program(words)
    return None


def started_files(command: str) -> Iterator[str]:
    """Yield the paths in the zip of the files that a command starts by themselves, as `./run.sh`."""
    for words in _in_model_dir(command):
        if words[0].startswith(_STARTS) and (path := _local(words[0])):
            yield path


def shell_scripts(command: str) -> Iterator[str]:
    """Yield the paths in the zip of the scripts that a shell reads, as `bash run.sh` and `. ./run.sh`."""
    runner, plain_option = _RUNNERS[1]
    for words in _in_model_dir(command):
        if (words[0] in _SOURCES or runner.fullmatch(words[0])) and (path := _script(words, plain_option)):
            yield path


def _in_model_dir(command: str) -> Iterator[list[str]]:
    """Yield the words of each command until one changes the folder."""
    for words, _ in _commands(command) if len(command) <= _MAX_COMMAND else ():
        if words and words[0] in ("cd", "pushd"):
            return
        if words:
            yield words


def _program(words: list[str]) -> str | None:
    for runner, plain_option in _RUNNERS:
        if runner.fullmatch(words[0]):
            return _script(words, plain_option)
    return _local(words[0]) if words[0].startswith(_STARTS) else None


def _script(words: list[str], plain_option: re.Pattern[str]) -> str | None:
    """Return the script among a runner's arguments: the first word that is no option."""
    word = next((word for word in words[1:] if not plain_option.fullmatch(word)), "-")
    path = None if word.startswith("-") else _local(word)
    # Python also runs folders and packages, which are no file of the zip.
    return path if path and ("python" not in words[0] or path.endswith(".py")) else None


def _local(word: str) -> str | None:
    """Return a path inside the zip; None for one that lies elsewhere or is made up by the shell."""
    bare = _MODEL_DIR.sub("", word)
    path = posixpath.normpath(bare)
    outside = path.startswith(("/", "..")) or path == "."
    return None if outside or _SHELLS_BUSINESS.search(bare) else path


def _commands(command: str) -> Iterator[tuple[list[str], bool]]:
    """Yield the words of one command after the other, and whether another one stands in for it should it fail."""
    words: list[str] = []
    for word in _words(command):
        if word.strip(";&|\n"):
            words.append(word)
        else:
            yield _without_prefixes(words), "||" in word
            words = []
    yield _without_prefixes(words), False


def _without_prefixes(words: list[str]) -> list[str]:
    while words and (words[0] in _PREFIXES or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    return words


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that is not closed
        return []


def missing_program(command: str, names: Iterable[str]) -> list[Problem]:
    """Return the problem of a command whose program file is not among the names of a zip's entries, or nothing."""
    program, known = program_of(command), set(names)
    if program is None or program in known:
        return []
    elsewhere = [name for name in known if posixpath.basename(HIDDEN.sub("", name)) == posixpath.basename(program)]
    hint = f"Did you mean {min(elsewhere)}? " if elsewhere else ""
    hint += "Paths in the command are relative to the top of the zip."
    return [
        Problem(
            f"the command runs {program}, which is not in the zip.", hint, seen=shown("command", command), code="C102"
        )
    ]


def script_problems(command: str, entries: Iterable[ArchiveEntry]) -> list[Problem]:
    """Return the problems of scripts that the command starts and the system cannot start."""
    windows = _windows_scripts(entries)
    return [
        Problem(
            f"{name} has Windows line ends (CRLF), so that the interpreter in its first line is not found.",
            _UNIX_LINE_ENDS.format(name),
            path=name,
            code="C102",
        )
        for name in dict.fromkeys(started_files(command))
        if name in windows
    ]


def script_warnings(command: str, entries: Iterable[ArchiveEntry]) -> list[str]:
    """Warn of scripts that the command runs: of carriage returns, which shells take for parts of words, and of failures
    that are lost in them.
    """
    known = {entry.name: entry for entry in entries}
    given = dict.fromkeys(name for name in shell_scripts(command) if name in known)
    windows = [
        f"{name} has Windows line ends (CRLF), which the shell takes for parts of its words; save it with LF"
        for name in given
        if known[name].windows_script or "\r\n" in known[name].script
    ]
    started = dict.fromkeys([*given, *(name for name in started_files(command) if name in known)])
    return [*windows, *(sentence for name in started for sentence in _lost_in(known[name]))]


def _lost_in(entry: ArchiveEntry) -> list[str]:
    return [f"{entry.name}: {sentence}" for sentence in lost_in_script(entry.script)[:_MAX_LOST]]


def _windows_scripts(entries: Iterable[ArchiveEntry]) -> set[str]:
    return {entry.name for entry in entries if entry.windows_script}
