"""What the words of one simple command say: which program it is, and whether its exit code is the program's."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=.*", re.DOTALL)
_PREFIXES = {"exec", "nohup", "time", "env", "sudo", "command", "nice", "stdbuf"}
# What prepares a training, reports on it or cleans up behind it. Whether it fails is not what people want to know.
_CHORES = frozenset(
    """
    pip pip3 conda mamba apt apt-get yum apk npm curl wget git unzip tar gunzip zip gzip export echo printf mkdir cd
    pushd popd chmod chown ln ls pwd date nvidia-smi set source . unset alias sleep true : false cat cp mv rm rmdir
    touch find du df env which ulimit trap wait kill tail head exit return test [ sync hostname uname free top shopt
    disown jobs bg fg type hash declare local typeset readonly let read printenv id whoami seq basename dirname
    realpath readlink stat rsync scp aws gsutil s3cmd rclone mc swift apt-key dpkg locale ps pgrep pkill break continue
    umask yes
    """.split()  # noqa: SIM905 - sixty lines otherwise
)
# What ends a pipeline without being its program.
_FILTERS = frozenset(
    """
    tee cat grep egrep fgrep sed awk tail head sort uniq tr cut wc ts less more logger column fold xz bzip2 zstd pigz
    split dd pv nl rev tac paste iconv base64 md5sum sha256sum xargs jq mail
    """.split()  # noqa: SIM905 - sixty lines otherwise
)
_QUESTIONS = frozenset(("--version", "-V", "--help"))
_SHELL = re.compile(r"(?:/.*/)?(bash|sh|dash|zsh|ksh)")
_COMMAND_OPTION = re.compile(r"-[a-z]*c")
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\"\\`$]|\\.|\$(?!\())*)\"", re.DOTALL)
_SHOWN = 40
# Programs that start another one and do not wait for it, by an option or unless they have one.
_DETACHED = (
    (re.compile(r"setsid(?! .*(?:-w|--wait)\b)(?= )"), "write setsid --wait"),
    (re.compile(r"screen .*-\w*[dD]\w*"), "start it without screen"),
    (re.compile(r"tmux (?:new|new-session|send-keys)\b.*"), "start it without tmux"),
    (re.compile(r"(?:at|batch|daemonize|daemon|coproc) "), "start it by itself"),
    (re.compile(r"systemd-run(?! .*--(?:wait|pty|pipe|scope))"), "start it by itself"),
    (re.compile(r"start-stop-daemon .*(?:-b|--background)\b"), "start it by itself"),
)
# Programs that answer 0 whatever became of what they started.
_SWALLOWED = (
    (re.compile(r"script(?! .*(?:-\w*e\w*\b|--return)) .*(?:-\w*c|--command)\b"), "script", "write script -e"),
    (re.compile(r"find .*-exec(?:dir)? (?!.*\+$)"), "find", "end -exec with + in place of \\;"),
    (re.compile(r"(?:jupyter[ -])?nbconvert .*--allow-errors"), "nbconvert", "leave --allow-errors out"),
    (re.compile(r"make .*(?:-\w*i\w*\b|--ignore-errors)"), "make", "leave -i out"),
)


def words_of(words: Sequence[str]) -> list[str]:
    """Return the words of a command from its program on."""
    start = 0
    while start < len(words) and (words[start] in _PREFIXES or _ASSIGNMENT.fullmatch(words[start])):
        start += 1
    return list(words[start:])


def program_name(words: Sequence[str]) -> str:
    """Return the name of a program whose failure matters; empty for what only prepares, shows or cleans up."""
    own = words_of(words)
    return own[0] if own and own[0] not in _CHORES | _FILTERS and not _QUESTIONS.intersection(own[1:2]) else ""


def command_name(words: Sequence[str]) -> str:
    """Name what a command starts, without its arguments, which may be secrets."""
    return (words_of(words) or ["what follows"])[0][:_SHOWN]


def script_name(words: Sequence[str]) -> str:
    """Name a command: its script where one follows; other arguments may be secrets."""
    own = words_of(words) or ["the command"]
    script = next((word for word in own[1:6] if word.endswith((".py", ".sh", ".lua", ".R"))), own[0])
    return script[:_SHOWN]


def inner_text(words: Sequence[str]) -> str:
    """Return the command that a shell or `eval` is given in one quoted word; empty if there is none."""
    if not words or not (_SHELL.fullmatch(words[0]) or words[0] == "eval"):
        return ""
    if words[0] == "eval":
        at = 1
    else:
        at = next((n + 1 for n, word in enumerate(words[:5]) if _COMMAND_OPTION.fullmatch(word)), len(words))
    match = _QUOTED.fullmatch(words[at]) if at < len(words) else None
    if match is None:
        return ""
    return match[1] if match[1] is not None else re.sub(r"\\([\"\\$`])", r"\1", match[2])


def leaves_behind(words: Sequence[str]) -> str:
    """Return what to say of a command that starts a program and does not wait for it."""
    text = " ".join(words)
    cure = next((cure for pattern, cure in _DETACHED if pattern.match(text)), "")
    return f"{words[0]} does not wait for what it starts: the run ends at once, and cuts it off; {cure}" if cure else ""


def swallows(words: Sequence[str]) -> str:
    """Return what to say of a command that answers 0 whatever became of its program."""
    text = " ".join(words)
    found = next(((name, cure) for pattern, name, cure in _SWALLOWED if pattern.match(text)), None)
    if found is None:
        return ""
    return f"{found[0]} answers 0 whatever became of what it runs, so that a failure counts as completed; {found[1]}"
