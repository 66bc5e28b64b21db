"""Whether each program of a command's pipelines may decide about its exit code: whether `pipefail` suits it.

With `pipefail`, `train.py | tee log` fails when the program fails. It would also fail `yes | head -1`, whose writer is
cut off by SIGPIPE, and `grep x log | wc -l`, whose writer answers with 1. So a command gets it only where every
pipeline writes to readers that read to the end, and where no exit code of a writer is an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_READ_ALL = frozenset(
    """
    tee cat tail sort wc nl tr uniq ts logger grep egrep fgrep sed awk gzip bzip2 xz zstd pigz split cut fold column
    tac rev pv base64 iconv md5sum sha256sum
    """.split()  # noqa: SIM905 - thirty lines otherwise
)
# Options and words with which a reader of these may stop early.
_STOPS = {
    **dict.fromkeys(("grep", "egrep", "fgrep"), re.compile(r"\s-(?!-)\w*[qmlL]|\s--(quiet|silent|max-count|files)")),
    "sed": re.compile("[qQ]"),
    "awk": re.compile("exit"),
}
# Commands whose exit code is an answer, or whose failure commands have always gone past.
_ANSWERS = {
    *("grep", "egrep", "fgrep", "zgrep", "rg", "ag", "diff", "cmp", "comm", "test", "[", "[[", "expr", "ls", "find"),
    *("which", "command", "type", "hash", "pgrep", "pidof", "ps", "lsof", "yes", "nvidia-smi", "rocm-smi", "lspci"),
}
_PREFIXES = {"exec", "time", "nohup", "nice", "command", "builtin", "env", "sudo", "stdbuf", "unbuffer", "!", "{", "("}
_ASSIGNMENT = re.compile(r"\w+=")
# The parts of a command in which `|` is no pipe, then everything that ends a pipeline's member.
_TOKEN = re.compile(r"""\\.|'[^']*'|"(?:\\.|\$(?!\()|[^"\\`$])*"|\|\||\|&?|&&|[;\n]|>\||[<>]&|&>|&""", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+""", re.DOTALL)


def suits_pipefail(command: str) -> bool:
    """Return whether the command has pipelines, and is right with `pipefail` if it is right without."""
    pipelines = [members for members in _pipelines(command) if len(members) > 1]
    return bool(pipelines) and all(
        all(_reads_all(member) for member in members[1:]) and not any(_answers(member) for member in members[:-1])
        for members in pipelines
    )


def _pipelines(command: str) -> Iterator[list[str]]:
    members, start = [], 0
    for token in _TOKEN.finditer(command):
        if token[0] in ("|", "|&"):
            members.append(command[start : token.start()])
            start = token.end()
        elif token[0] in ("||", "&&", ";", "\n", "&"):
            yield [*members, command[start : token.start()]]
            members, start = [], token.end()
    yield [*members, command[start:]]


def _reads_all(member: str) -> bool:
    program = _program(member)
    stops = _STOPS.get(program)
    return program in _READ_ALL and not (stops and stops.search(member))


def _answers(member: str) -> bool:
    return _program(member) in _ANSWERS


def _program(member: str) -> str:
    """Return the name of the program of a pipeline's member, without its folder."""
    for word in _WORD.findall(member.replace("(", " ( ").replace("{ ", " { ")):
        if word not in _PREFIXES and not _ASSIGNMENT.match(word):
            return str(word).rpartition("/")[2].strip("'\"")
    return ""
