"""Find commands whose exit code is not their program's, so that a run that failed would count as completed.

Only what is certain is reported; what the shell makes up is passed over. What the pod's wrapper (cluster/learner.sh)
mends by itself is not reported: pipelines that `pipefail` suits, and an & at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from trainyard.domain.pipelines import suits_pipefail
from trainyard.manifest.commandtree import Compound, Item, List, Pipeline, Simple, command_tree, simple_commands
from trainyard.manifest.commandwords import inner_text, leaves_behind, program_name, script_name, swallows, words_of
from trainyard.manifest.shell import UncertainError

_FAILING = {"exit", "false", "return", "[", "test"}
_SEQUENCE = (
    "a failure of {} is not the command's: what follows decides whether the run is completed; "
    "write && for the ; or line end behind it, or begin with `set -e;`"
)
_BACKGROUND = (
    "{} is started in the background (&): the run ends when the command does, and cuts it off; "
    "leave the & out, or end the command with `wait $!`"
)
_BARE_WAIT = (
    "`wait` alone answers 0 whatever became of the programs, so that a failure counts as completed; "
    "write `wait $!`, or leave the & out"
)
_NEGATED = "`!` makes a failure of {} count as completed; leave it out"
_CONDITION = "`if` makes a failure of {} count as completed; end its other branch with `exit 1`"
_LOOP = "a failure of {} counts only in the last pass of the loop; write `|| exit 1` behind it, or begin with `set -e;`"
_UNSEEN = (
    "`set -e` does not see a failure of {} before `&&`, and what follows decides whether the run is completed; "
    "write it on a line of its own"
)
_TRAP = "a `trap` with `exit 0` makes every failure count as completed; leave its exit out, or write `exit $?`"


@dataclass(frozen=True)
class _Place:
    """Where a command stands: why its failure is lost, if it is, and what the shell around it does.

    `after` is what follows in the lists around it, up to the shell that runs it.
    """

    lost: str | None = None
    errexit: bool = False
    pipefail: bool = False
    awaited: bool = False
    after: tuple[Item, ...] = ()
    functions: dict[str, List] = field(default_factory=dict)


def lost_exit_codes(command: str) -> list[str]:
    """Return a sentence for each way in which the command answers another exit code than its program's."""
    if "PIPESTATUS" in command:
        return []
    try:
        tree = command_tree(command)
    except UncertainError:
        return []
    awaited = command.rstrip(" \t\n").endswith("&")
    return list(dict.fromkeys(_in_list(tree, _Place(pipefail=suits_pipefail(command), awaited=awaited))))


def lost_in_script(text: str, options: Sequence[str] = ()) -> list[str]:
    """Return the same for a script that a shell runs with these options, where the pod's wrapper mends nothing."""
    first, _, _ = text.partition("\n")
    words = [*options, *(first.split()[1:] if first.startswith("#!") else [])]
    return [] if "PIPESTATUS" in text else list(dict.fromkeys(_in_shell(text, words, None)))


def _in_list(tree: List, place: _Place) -> Iterator[str]:
    for number, item in enumerate(tree.items):
        rest = (*tree.items[number + 1 :], *place.after)
        here = tree.items[number + 1 :]
        for words in _plain_words(item):
            place = _with_options(words, place)
        if item.behind == "&":
            yield from _in_background(item, rest, place)
        elif not here:
            yield from _in_item(item, place)
        elif _brings_back(here):
            yield from _in_item(item, replace(place, lost=None, after=rest))
        elif place.errexit:
            yield from _in_item(item, replace(place, lost=None, after=rest), _UNSEEN)
        else:
            yield from _in_item(item, replace(place, lost=place.lost or _SEQUENCE, after=rest))


def _with_options(words: Sequence[str], place: _Place) -> _Place:
    """Read `set -euo pipefail` and the like."""
    if words[:1] != ["set"]:
        return place
    on = "".join(word[1:] for word in words[1:] if word.startswith("-"))
    off = "".join(word[1:] for word in words[1:] if word.startswith("+"))
    errexit = ("e" in on or "errexit" in words or place.errexit) and "e" not in off
    return replace(place, errexit=errexit, pipefail=place.pipefail or "pipefail" in words)


def _plain_words(item: Item) -> Iterator[list[str]]:
    """Yield the words of an item that is one simple command."""
    if len(item.pipelines) == 1 and len(item.pipelines[0].members) == 1:
        (member,) = item.pipelines[0].members
        if isinstance(member, Simple):
            yield member.words


def _in_background(item: Item, rest: Sequence[Item], place: _Place) -> Iterator[str]:
    names = [name for each in simple_commands(item) if (name := program_name(each.words))]
    if not names or (place.awaited and not rest):
        return
    later = [each for follower in rest for each in simple_commands(follower)]
    waits = [each.words for each in later if each.words[:1] == ["wait"]]
    if any(len(words) > 1 for words in waits) or any(program_name(each.words) for each in later):
        return
    yield _BARE_WAIT if waits else _BACKGROUND.format(script_name(next(simple_commands(item)).words))


def _brings_back(rest: Sequence[Item]) -> bool:
    """Say whether what follows may bring a failure back: by `exit $?`, or a test of `$?` at the end."""
    commands = [each.words for item in rest for each in simple_commands(item)]
    for number, words in enumerate(commands):
        if words[:1] in (["exit"], ["return"]) and (words[1:2] not in ([], ["0"]) or (not words[1:] and number == 0)):
            return True
    first = [word for each in simple_commands(rest[0]) for word in each.words]
    return any("$?" in word for word in first) and "||" not in rest[-1].operators and _is_test(rest[-1].pipelines[0])


def _is_test(pipeline: Pipeline) -> bool:
    (member, *more) = pipeline.members
    if isinstance(member, Simple):
        return not more and member.words[:1] in (["["], ["test"])
    return member.kind == "test"


def _in_item(item: Item, place: _Place, unless_last: str | None = None) -> Iterator[str]:
    """Judge pipelines between `&&` and `||`; `unless_last` is why a failure before the last one would be lost."""
    for number, pipeline in enumerate(item.pipelines):
        other = next(
            (
                after
                for operator, after in zip(item.operators[number:], item.pipelines[number + 1 :], strict=True)
                if operator == "||"
            ),
            None,
        )
        lost = place.lost or (unless_last if number + 1 < len(item.pipelines) else None)
        if other is not None and (lost is None or lost is unless_last):
            lost = _lost_to(other)
        elif other is not None and _may_fail(other):
            lost = None
        yield from _in_pipeline(pipeline, replace(place, lost=lost))


def _lost_to(other: Pipeline) -> str | None:
    """Return why a failure is lost to what stands behind `||`, None if that may fail itself."""
    if _may_fail(other):
        return None
    words = next(simple_commands(List([Item([other])])), Simple([""])).words
    return f"`|| {words[0]}` makes a failure of {{}} count as completed; leave it out, or end it with `exit 1`"


def _may_fail(pipeline: Pipeline) -> bool:
    commands = [each.words for each in simple_commands(List([Item([pipeline])]))]
    return not commands or any(
        program_name(words) or (words and words[0] in _FAILING and words[1:2] != ["0"]) for words in commands
    )


def _in_pipeline(pipeline: Pipeline, place: _Place) -> Iterator[str]:
    *writers, last = pipeline.members
    lost = place.lost or (_NEGATED if pipeline.negated else None)
    inner = place if not writers else replace(place, awaited=False)
    for member in writers:
        yield from _in_member(member, replace(inner, lost=lost or (None if place.pipefail else _piped(last))))
    yield from _in_member(last, replace(inner, lost=lost))


def _piped(reader: Simple | Compound) -> str:
    words = words_of(reader.words) if isinstance(reader, Simple) else []
    name = words[0] if words else "what reads it"
    return (
        f"the exit code is that of {name}, not of {{}}, so that a failure counts as completed; "
        "begin the command with `set -o pipefail;`"
    )


def _in_member(member: Simple | Compound, place: _Place) -> Iterator[str]:
    if isinstance(member, Simple):
        yield from _in_simple(member.words, place)
    elif member.kind == "function":
        place.functions[member.name] = member.bodies[0]
    elif member.kind == "if":
        yield from _in_if(member, place)
    elif member.kind == "loop":
        inner = place if place.errexit or place.lost else replace(place, lost=_LOOP)
        yield from _in_list(member.bodies[0], inner)
    else:
        inner = replace(place, after=(), awaited=False) if member.kind == "subshell" else place
        for body in member.bodies:
            yield from _in_list(body, inner)


def _in_if(member: Compound, place: _Place) -> Iterator[str]:
    """A condition is a question, unless there is no other program for which it could be one."""
    answers = [each.words for body in member.bodies for each in simple_commands(body)]
    if not any(program_name(words) or words[:1] in (["exit"], ["return"], ["false"]) for words in answers):
        for condition in member.conditions:
            yield from _in_list(condition, replace(place, lost=place.lost or _CONDITION))
    for body in member.bodies:
        yield from _in_list(body, place)


def _in_simple(words: Sequence[str], place: _Place) -> Iterator[str]:
    own = words_of(words)
    if own[:1] and (body := place.functions.get(own[0])):
        others = {name: each for name, each in place.functions.items() if name != own[0]}
        yield from _in_list(body, replace(place, functions=others))
    elif inner := inner_text(own):
        yield from _in_text(inner, own, place)
    elif own[:1] == ["trap"] and re.search(r"\bexit 0\b", " ".join(own[1:2])) and {"EXIT", "0", "ERR"} & {*own[2:]}:
        yield _TRAP
    elif sentence := leaves_behind(own) or swallows(own):
        yield sentence
    elif place.lost and program_name(words):
        yield place.lost.format(script_name(words))


def _in_text(text: str, words: Sequence[str], place: _Place) -> Iterator[str]:
    """Look into the command that a shell or `eval` is given as a word."""
    if words[0] != "eval":
        yield from _in_shell(text, words[1:-1], place.lost)
        return
    try:
        yield from _in_list(command_tree(text), place)
    except UncertainError:
        return


def _in_shell(text: str, options: Sequence[str], lost: str | None) -> Iterator[str]:
    """Judge what a shell of its own runs: the options of the one around it are not its own."""
    errexit = any(re.fullmatch(r"-[a-z]*e[a-z]*", word) for word in options)
    try:
        yield from _in_list(command_tree(text), _Place(lost=lost, errexit=errexit, pipefail="pipefail" in options))
    except UncertainError:
        return
