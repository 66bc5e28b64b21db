"""Find commands whose exit code is not their program's, so that a run that failed would count as completed.

Only what is certain is reported; what the shell makes up is passed over. What the pod's wrapper (cluster/learner.sh)
fixes by itself is not reported: pipelines that `pipefail` suits, and an & at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from trainyard.domain.pipelines import suits_pipefail
from trainyard.manifest.commandtree import Compound, Item, List, Pipeline, Simple, command_tree, simple_commands
from trainyard.manifest.commandwords import (
    command_name,
    inner_text,
    leaves_behind,
    program_name,
    script_name,
    swallows,
    words_of,
)
from trainyard.manifest.exitkept import alternatives, exits_behind, may_fail, tells_by_itself
from trainyard.manifest.shell import UncertainError, read_from, substituted

_PROGRAM = "{}"
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
_WHILE = "`while` ends at a failure of {}, which counts as completed; write `until` to try again, or start it by itself"
_SUBSTITUTED = (
    "the shell does not look at the exit code of {} within $( ), <( ) or backticks, so that a failure counts as "
    "completed; start it by itself, or keep its output first: `output=$(…) || exit 1`"
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
    place = _Place(pipefail=suits_pipefail(command), awaited=awaited)
    return list(dict.fromkeys(chain(_in_list(tree, place), _in_substitutions(read_from(command)))))


def lost_in_script(text: str, options: Sequence[str] = ()) -> list[str]:
    """Return the same for a script that a shell runs with these options, where the pod's wrapper fixes nothing."""
    first, _, _ = text.partition("\n")
    words = [*options, *(first.split()[1:] if first.startswith("#!") else [])]
    return [] if "PIPESTATUS" in text else list(dict.fromkeys(_in_shell(text, words, None)))


def _in_list(tree: List, place: _Place) -> Iterator[str]:
    exits = exits_behind(tree)
    for number, item in enumerate(tree.items):
        here = tree.items[number + 1 :]
        rest = (*here, *place.after)
        for words in _plain_words(item):
            place = _with_options(words, place)
        if item.behind == "&":
            yield from _in_background(item, rest, place)
        elif not here:
            yield from _in_item(item, place)
        elif exits[number] or tells_by_itself(here):
            yield from _in_item(item, replace(place, lost=None, after=rest))
        elif place.errexit:
            # Where the shell asks about a list, `||` for instance, it does not end at a failure within.
            asked = None if place.lost in (None, _SEQUENCE, _LOOP) else place.lost
            yield from _in_item(item, replace(place, lost=asked, after=rest), _UNSEEN)
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
    names = [script_name(each.words) for each in simple_commands(item) if program_name(each.words)]
    if not names or (place.awaited and not rest):
        return
    waits = False
    for later in chain.from_iterable(map(simple_commands, rest)):
        if later.words[:1] == ["wait"] and len(later.words) == 1:
            waits = True
        elif later.words[:1] == ["wait"] or program_name(later.words):
            return
    yield _BARE_WAIT if waits else _BACKGROUND.replace(_PROGRAM, names[0])


def _in_item(item: Item, place: _Place, unless_last: str | None = None) -> Iterator[str]:
    """Judge pipelines between `&&` and `||`; `unless_last` is why a failure before the last one would be lost."""
    for number, (pipeline, other) in enumerate(zip(item.pipelines, alternatives(item), strict=True)):
        lost = place.lost or (unless_last if number + 1 < len(item.pipelines) else None)
        if other is not None and (lost is None or lost is unless_last):
            lost = _lost_to(other)
        elif other is not None and may_fail(other):
            lost = None
        yield from _in_pipeline(pipeline, replace(place, lost=lost))


def _lost_to(other: Pipeline) -> str | None:
    """Return why a failure is lost to what stands behind `||`, None if that may fail itself."""
    if may_fail(other):
        return None
    name = command_name(next(simple_commands(List([Item([other])])), Simple([])).words)
    return f"`|| {name}` makes a failure of {_PROGRAM} count as completed; leave it out, or end it with `exit 1`"


def _in_pipeline(pipeline: Pipeline, place: _Place) -> Iterator[str]:
    *writers, last = pipeline.members
    lost = place.lost or (_NEGATED if pipeline.negated else None)
    inner = place if not writers else replace(place, awaited=False)
    for member in writers:
        yield from _in_member(member, replace(inner, lost=lost or (None if place.pipefail else _piped(last))))
    yield from _in_member(last, replace(inner, lost=lost))


def _piped(reader: Simple | Compound) -> str:
    name = command_name(reader.words) if isinstance(reader, Simple) else "what reads it"
    return (
        f"the exit code is that of {name}, not of {_PROGRAM}, so that a failure counts as completed; "
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
        if member.name == "while" and not _is_negated(member.conditions[0]):
            yield from _in_list(member.conditions[0], replace(place, lost=_WHILE))
        inner = place if place.errexit or place.lost else replace(place, lost=_LOOP)
        yield from _in_list(member.bodies[0], inner)
    else:
        inner = replace(place, after=(), awaited=False) if member.kind == "subshell" else place
        for body in member.bodies:
            yield from _in_list(body, inner)


def _is_negated(condition: List) -> bool:
    return any(pipeline.negated for item in condition.items for pipeline in item.pipelines)


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
    if own[:1] and (body := place.functions.pop(own[0], None)):  # once: functions may call each other in circles
        yield from _in_list(body, place)
    elif inner := inner_text(own):
        yield from _in_text(inner, own, place)
    elif own[:1] == ["trap"] and re.search(r"\bexit 0\b", " ".join(own[1:2])) and {"EXIT", "0", "ERR"} & {*own[2:]}:
        yield _TRAP
    elif sentence := leaves_behind(own) or swallows(own):
        yield sentence
    elif place.lost and program_name(words):
        yield place.lost.replace(_PROGRAM, script_name(words))
    elif own and not program_name(words):
        yield from _in_substitutions(chain.from_iterable(map(substituted, words)))


def _in_substitutions(texts: Iterable[str]) -> Iterator[str]:
    """Name the programs of which only the output is used; an assignment alone keeps their exit code."""
    for text in texts:
        try:
            tree = command_tree(text)
        except UncertainError:
            continue
        for each in simple_commands(tree):
            if program_name(each.words):
                yield _SUBSTITUTED.replace(_PROGRAM, script_name(each.words))


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
