"""Find commands whose exit code is not their program's, so that a run that failed would count as completed.

Only what is certain is reported: compound commands, and whatever the shell makes up, are passed over. What the pod's
wrapper (cluster/learner.sh) mends by itself is not reported: pipelines that `pipefail` suits, and an & at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from trainyard.domain.pipelines import suits_pipefail
from trainyard.manifest.shell import Token, UncertainError, shell_tokens

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=.*", re.DOTALL)
_PREFIXES = {"exec", "nohup", "time", "env", "sudo", "command", "nice", "stdbuf"}
# What prepares a training or cleans up behind it. Whether it fails is not what people want to know of a run.
_CHORES = frozenset(
    """
    pip pip3 conda mamba apt apt-get yum apk npm curl wget git unzip tar gunzip zip gzip export echo printf mkdir cd
    pushd popd chmod chown ln ls pwd date nvidia-smi set source . unset alias sleep true : false cat cp mv rm rmdir
    touch find du df env which ulimit trap wait kill tail head exit return test [ sync hostname uname free top
    """.split()  # noqa: SIM905 - sixty lines otherwise
)
# What ends a pipeline without being its program.
_FILTERS = frozenset(
    """
    tee cat grep egrep fgrep sed awk tail head sort uniq tr cut wc ts less more logger column fold
    """.split()  # noqa: SIM905 - sixty lines otherwise
)
_OPENS = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done", "case": "esac", "{": "}"}
_CLOSES = {*_OPENS.values(), ")", "then", "do", "else", "elif"}
_FAILING = {"exit", "false", "return", "[", "test"}
_SEPARATORS = {";", "\n", "&", "&&", "||"}
_PIPES = {"|", "|&"}
_SHOWN = 40
_MAX_JOBS = 200


@dataclass
class Job:
    """A pipeline: the words of each of its commands, what stands behind it, and whether one is a compound."""

    commands: list[list[str]] = field(default_factory=lambda: [[]])
    behind: str = ""
    compound: bool = False

    @property
    def names(self) -> list[str]:
        return [words[0] if words else "" for words in map(_without_prefixes, self.commands)]

    @property
    def is_program(self) -> bool:
        return any(name and name not in _CHORES | _FILTERS for name in self.names)

    def __str__(self) -> str:
        """Name the program: its script where one follows; other arguments may be secrets."""
        words = _without_prefixes(self.commands[0]) or ["the command"]
        script = next((word for word in words[1:4] if word.endswith((".py", ".sh", ".lua", ".R"))), words[0])
        return script[:_SHOWN]


def lost_exit_codes(command: str) -> list[str]:
    """Return a sentence for each way in which the command answers another exit code than its program's."""
    if "PIPESTATUS" in command:
        return []
    try:
        jobs = _jobs(shell_tokens(command))
    except UncertainError:
        return []
    awaited = command.rstrip(" \t\n").endswith("&")
    return list(dict.fromkeys(_lost(jobs, suits_pipefail(command), awaited))) if jobs else []


def _lost(jobs: Sequence[Job], pipefail: bool, awaited: bool) -> Iterator[str]:
    errexit = False
    for number, job in enumerate(jobs):
        rest = jobs[number + 1 :]
        errexit, pipefail = errexit or _sets(job, "e", "errexit"), pipefail or _sets(job, "", "pipefail")
        if job.compound or not job.is_program:
            continue
        if job.behind == "&" and awaited and not rest:
            continue
        if job.behind == "&":
            yield from _lost_in_background(job, rest)
        elif not pipefail and _is_filtered(job):
            yield (
                f"the exit code is that of {job.names[-1]}, not of {job}, so that a failure counts as completed; "
                f"begin the command with `set -o pipefail;`"
            )
        elif job.behind == "||":
            yield from _lost_in_alternative(job, rest)
        elif job.behind in (";", "\n") and not errexit:
            yield from _lost_in_sequence(job, rest)


def _lost_in_background(job: Job, rest: Sequence[Job]) -> Iterator[str]:
    waits = [words for later in rest for words in later.commands if words[:1] == ["wait"]]
    if any(len(words) > 1 for words in waits) or any(later.is_program or later.compound for later in rest):
        return
    if waits:
        yield (
            "`wait` alone answers 0 whatever became of the programs, so that a failure counts as completed; "
            "write `wait $!`, or leave the & out"
        )
    else:
        yield (
            f"{job} is started in the background (&): the run ends when the command does, and cuts it off; "
            f"leave the & out, or end the command with `wait $!`"
        )


def _lost_in_alternative(job: Job, rest: Sequence[Job]) -> Iterator[str]:
    other = rest[0] if rest else None
    if other and not other.compound and not other.is_program and other.names[0] not in _FAILING:
        yield (
            f"`|| {other.names[0]}` makes a failure of {job} count as completed; leave it out, or end it with `exit 1`"
        )


def _lost_in_sequence(job: Job, rest: Sequence[Job]) -> Iterator[str]:
    """A later command decides; `exit $?` and the like may bring the program's own exit code back."""
    kept = any(words[:1] == ["exit"] for later in rest for words in later.commands)
    reads = any("$?" in word for later in rest[:1] for words in later.commands for word in words)
    if rest and not kept and not reads:
        yield (
            f"a failure of {job} is not the command's: what follows decides whether the run is completed; "
            f"write && for the ; or line end behind it, or begin with `set -e;`"
        )


def _is_filtered(job: Job) -> bool:
    *others, last = job.names
    return bool(others) and last in _FILTERS and any(name not in _CHORES | _FILTERS for name in others if name)


def _sets(job: Job, letter: str, option: str) -> bool:
    """Say whether a job is `set` with an option: `-e`, `-euo pipefail`."""
    words = job.commands[0]
    if words[:1] != ["set"]:
        return False
    letters = "".join(word[1:] for word in words[1:] if word.startswith("-"))
    return (bool(letter) and letter in letters) or option in words


def _jobs(tokens: Sequence[Token]) -> list[Job]:
    """Cut a command at its separators, those of a compound command left alone. Raise UncertainError if one is open."""
    jobs, job = [], Job()
    open_: list[str] = []
    for token in tokens:
        if token.operator and not open_ and token.text in _SEPARATORS:
            if job.commands != [[]]:
                job.behind = token.text
                jobs.append(job)
                job = Job()
            elif token.text != "\n":
                raise UncertainError
        elif token.operator and not open_ and token.text in _PIPES:
            job.commands.append([])
        else:
            _into(job, token, open_)
    if open_ or len(jobs) > _MAX_JOBS:
        raise UncertainError
    return [*jobs, job] if job.commands != [[]] else jobs


def _into(job: Job, token: Token, open_: list[str]) -> None:
    """Add a token to the job it belongs to, and note the compound commands that it opens and closes."""
    starts = not job.commands[-1]
    if open_ and token.text == open_[-1]:
        open_.pop()
    elif token.text in _CLOSES and (token.operator or starts):
        raise UncertainError
    elif token.operator and token.text == "(":
        open_.append(")")
    elif not token.operator and token.text in _OPENS and (starts or open_):
        open_.append(_OPENS[token.text])
    job.compound = job.compound or bool(open_)
    if not open_ or starts or job.compound:
        job.commands[-1].append(token.text)


def _without_prefixes(words: list[str]) -> list[str]:
    while words and (words[0] in _PREFIXES or _ASSIGNMENT.fullmatch(words[0])):
        words = words[1:]
    return words
